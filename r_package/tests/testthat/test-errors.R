test_that("errors have a class for their code, and the hint", {
  e <- error_of(raise("design", "what {was} wrong", "do <this>"))
  expect_s3_class(e, c("simferry_error_design", "simferry_error", "error", "condition"), exact = TRUE)
  expect_equal(conditionMessage(e), "what {was} wrong\ndo <this>")
  expect_equal(c(e$code, e$hint), c("design", "do <this>"))
})

test_that("numbers are written out", {
  expect_equal(number(1e6), "1,000,000")
  expect_equal(counted(1, "condition"), "1 condition")
  expect_equal(counted(2000, "condition"), "2,000 conditions")
})

test_that("nothing in a text steers a terminal", {
  expect_equal(visible(c("\033[1;31mred\033[0m\ttab\r\n", "\033]8;;http://x\aclick\033\\", "\u009b2J\u202eabc",
                         "plain \u00e5 \U0001f600")),
               c("\033[1;31mred\033[0m\ttab\r\n", "\\x1b]8;;http://x\\x07click\\x1b\\", "\\x9b2J\\u202eabc",
                 "plain \u00e5 \U0001f600"))
  expect_equal(visible("no \xff text\a"), "no <ff> text\\x07")
  path <- tempfile()
  file <- file(path, "w")
  expect_equal(shown("\033]0;title\a", file), "\033]0;title\a")   # a file keeps every byte
  close(file)
})
