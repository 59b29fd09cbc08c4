test_that("a report has the study, its measures and figures", {
  needs_python()
  about <- list(aims = "which is <better>?", methods = c("mean", "median"))
  run <- quiet_run(draws, sim_grid(n = c(4, 8)), replications = 20, seed = 1, study = about, estimate = "mean",
                   truth = 0)
  path <- tempfile(fileext = ".html")
  expect_equal(sim_report(run, path), path)
  page <- paste(readLines(path, encoding = "UTF-8"), collapse = "\n")
  expect_match(page, "which is &lt;better&gt;?", fixed = TRUE)
  expect_match(page, "Convergence", fixed = TRUE)
  expect_match(conditionMessage(error_of(sim_report(run, "report.pdf"))), "does not end in .html", fixed = TRUE)
})
