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

test_that("what was not found, and is here, is named with the option that sends it", {
  said <- c("Error: object 'my k' not found", "could not find function \"g\"", "object 'far' not found", "other")
  expect_equal(names_not_found(said), c("my k", "far", "g"))
  e <- list2env(list(`my k` = 1), parent = globalenv())
  hint <- function(from) hint_to_send(said, from, "globals")
  at_console(list(g = typed("function() 1")), {
    expect_message(hint(list(e)), "my k, g are here, .*globals = c\\(\"my k\", \"g\"\\)  sends")
    expect_message(hint(list(globalenv())), "g is here, .*globals = \"g\"  sends")
  })
  expect_silent(hint(list(globalenv())))
  needs_python()
  at_console(list(kw = 1:32, model = mpg ~ wt + kw), {   # the formula is one of the session
    environment(model) <- globalenv()
    assign("model", model, globalenv())
    expect_message(sim_run(typed("function(n) coef(lm(model, mtcars))"), sim_grid(n = 1), 1, store = tempfile()),
                   "kw is here, .*globals = \"kw\"  sends it along")
  })
})
