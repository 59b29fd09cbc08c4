test_that("a run prints where it lives and how far it is", {
  needs_python()
  run <- quiet_run(draws, data.frame(n = c(3, 4)), 5, seed = 9)
  expect_output(print(run), "2 conditions (n) x 5 replications, seed 9", fixed = TRUE)
  expect_output(print(run), "complete: 10 of 10 replications done, 0 failed", fixed = TRUE)
  expect_output(print(run), run$folder, fixed = TRUE)
})

test_that("methods of R's generics give the tables", {
  needs_python()
  run <- quiet_run(draws, data.frame(n = c(3, 4)), 5, seed = 9)
  rows <- as.data.frame(run)
  expect_s3_class(rows, "data.frame", exact = TRUE)
  of <- as.data.frame(summary(run))
  first <- of[of$condition == 1 & of$output == "mean", ]
  values <- rows$mean[rows$condition == 1]
  expect_equal(c(first$mean, first$sd, first$mcse), c(mean(values), sd(values), sd(values) / sqrt(5)))
  expect_type(of$n, "double")
  expect_equal(head(run, 3), head(sim_results(run), 3))
})

test_that("a plot has a panel for each output, and says what there is otherwise", {
  needs_python()
  run <- quiet_run(draws, sim_grid(n = c(3, 4), effect = 0:1), 5, seed = 9)
  grDevices::pdf(NULL)
  on.exit(grDevices::dev.off())
  expect_equal(nrow(plot(run)), 8)
  expect_silent(plot(run, output = "mean", parameter = "effect", main = "means"))
  expect_error(plot(run, output = "maen"), "no output maen", class = "simferry_error_usage")
  expect_error(plot(run, parameter = "m"), "no parameter m", class = "simferry_error_usage")
  words <- quiet_run(typed("function(method) c(x = rnorm(1))"), data.frame(method = c("a", "b")), 3, seed = 1)
  expect_silent(plot(words))
})

test_that("tables are tibbles where tibble is loaded", {
  needs_python()
  skip_if_not_installed("tibble")
  run <- quiet_run(draws, data.frame(n = 3), 2, seed = 9)
  loadNamespace("tibble")
  expect_s3_class(sim_results(run), "tbl_df")
})
