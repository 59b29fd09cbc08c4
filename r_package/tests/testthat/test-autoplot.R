needs_ggplot <- function() {
  if (!requireNamespace("ggplot2", quietly = TRUE)) lacking("r", "the R package ggplot2 is not installed")
}

test_that("each figure is a ggplot with the marks that plot() draws", {
  needs_python()
  needs_ggplot()
  set.seed(2)
  data <- expand.grid(m = c("b", "a"), replication = 1:40, condition = 1:2, stringsAsFactors = FALSE)
  data$est <- rnorm(160)
  data$est[data$m == "a" & data$condition == 2] <- NA
  m <- sim_measures(cbind(data, se = 1), estimate = "est", truth = 0, se = "se", by = "m")
  grDevices::pdf(NULL)
  on.exit(grDevices::dev.off())
  for (kind in c("zip", "forest", "lolly", "nested_loop", "estimates", "convergence", "differences")) {
    figure <- ggplot2::autoplot(m, kind)
    expect_s3_class(figure, "ggplot")
    expect_equal(nrow(figure$data), nrow(plot(m, kind)))
    expect_silent(ggplot2::ggplot_build(figure))
  }
  bias <- ggplot2::layer_data(ggplot2::autoplot(m, "forest", measures = "bias"), 3)
  expect_equal(sort(bias$x), sort(m$estimate[m$measure == "bias" & !is.na(m$estimate)]))
  one <- ggplot2::autoplot(m, "zip", conditions = 1, methods = "b")
  expect_equal(one$labels$subtitle, "condition 1")
  expect_error(ggplot2::autoplot(m, "zipp"), class = "simferry_error_usage")
})

test_that("a run has one, also of parameters", {
  needs_python()
  needs_ggplot()
  run <- quiet_run(draws, sim_grid(n = c(4, 8), effect = 0:1), replications = 10, seed = 1)
  figure <- ggplot2::autoplot(run, "nested_loop", estimate = "mean", truth = "effect")
  expect_equal(figure$data$position, 1:4)
  grDevices::pdf(NULL)
  on.exit(grDevices::dev.off())
  expect_silent(ggplot2::ggplot_build(figure))
  expect_error(ggplot2::autoplot(run, estimte = "mean"), "no option \"estimte\"", class = "simferry_error_usage")
})
