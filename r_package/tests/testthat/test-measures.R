test_that("the truth may be a data frame or a file, by condition", {
  needs_python()
  truths <- data.frame(n = c(8, 4), truth = c(2, 1))
  run <- quiet_run(draws, sim_grid(n = c(4, 8)), replications = 5, seed = 1, estimate = "mean", truth = truths)
  found <- sim_measures(run, measures = c("mean", "bias"))
  of <- function(name) found$estimate[found$measure == name]
  expect_equal(of("mean") - of("bias"), c(1, 2))
  path <- tempfile(fileext = ".csv")
  write.csv(data.frame(condition = 1:2, truth = c(3, 4)), path, row.names = FALSE)
  table <- sim_results(run)[c("condition", "replication", "mean")]
  again <- sim_measures(table, estimate = "mean", truth = path, measures = "bias")
  expect_equal(of("mean") - again$estimate, c(3, 4))
  said <- conditionMessage(error_of(sim_measures(run, truth = data.frame(n = "4", truth = 1))))
  expect_match(said, "condition 1 has no truth in the table, where n is 4", fixed = TRUE)
})
