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
