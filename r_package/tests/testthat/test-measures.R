study <- function(n) {
  x <- rexp(n)
  data.frame(method = c("mean", "median"), est = c(mean(x), median(x)), se = sd(x) / sqrt(n))
}
environment(study) <- globalenv()

estimates <- function(replications = 60) {
  set.seed(1)
  data.frame(rep = rep(seq_len(replications), 2), m = rep(c("a", "b"), each = replications), b = rexp(2 * replications))
}

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

test_that("measures of a data frame and of a run are as R computes them", {
  needs_python()
  data <- estimates()
  found <- sim_measures(data, estimate = "b", truth = 1, by = "m", data_set = "rep", measures = c("bias", "mse"))
  expect_equal(found$estimate[found$measure == "bias"], as.numeric(tapply(data$b - 1, data$m, mean)))
  expect_equal(found$mcse[found$measure == "mse"], as.numeric(tapply((data$b - 1)^2, data$m, sd)) / sqrt(60))
  run <- quiet_run(study, sim_grid(n = c(5, 10)), replications = 30, seed = 1, estimate = "est", truth = 1)
  rows <- sim_results(run)
  bias <- sim_measures(run, by = "method", measures = "bias")
  expect_equal(bias$n, c(5, 5, 10, 10))
  expect_equal(bias$estimate, as.numeric(tapply(rows$est - 1, list(rows$method, rows$n), mean)))
  difference <- sim_contrast(run, by = "method", measures = "bias")
  expect_equal(difference$estimate, bias$estimate[c(2, 4)] - bias$estimate[c(1, 3)])
})

test_that("a measure of the user has the jackknife of the same measure", {
  needs_python()
  data <- estimates()
  given <- list(data, estimate = "b", by = "m", data_set = "rep", measures = "empirical_se")
  found <- do.call(sim_measures, c(given, list(own = list(spread = function(rows) sd(rows$b)))))
  of <- function(name) as.data.frame(found[found$measure == name, c("m", "estimate", "mcse", "replications")])
  expect_equal(of("spread"), of("empirical_se"), ignore_attr = "row.names")
  drawn <- do.call(sim_measures, c(given, list(own = list(m = function(rows) mean(rows$b)), mcse = "bootstrap")))
  expect_equal(drawn$mcse[drawn$measure == "m"], as.numeric(tapply(data$b, data$m, sd)) / sqrt(60), tolerance = 0.2)
})

test_that("a measure of the user gets the rows of a condition and method, as sim_results() has them", {
  needs_python()
  run <- quiet_run(study, sim_grid(n = c(5, 10)), replications = 4, seed = 1, estimate = "est")
  seen <- list()
  keep <- function(rows) {
    if (nrow(rows) == 4) seen[[length(seen) + 1]] <<- rows
    length(rows$est)
  }
  found <- sim_measures(run, by = "method", measures = "mean", own = list(rows = keep))
  expect_equal(found$estimate[found$measure == "rows"], rep(4, 4))
  expect_equal(found$mcse[found$measure == "rows"], rep(0, 4))
  rows <- as.data.frame(sim_results(run))
  second <- rows[rows$n == 5 & rows$method == "median", ]
  expect_equal(seen[[2]], second, ignore_attr = "row.names")
  expect_equal(attributes(rows_at(rows, c(3, 1, 3)))$row.names, 1:3)
  expect_equal(rows_at(rows, c(3, 1, 3))$est, rows$est[c(3, 1, 3)])
})

test_that("a measure of the user that is none is told with its condition and method", {
  needs_python()
  own_of <- function(...) error_of(sim_measures(estimates(20), estimate = "b", by = "m", data_set = "rep",
                                               measures = "mean", own = list(...)))
  expect_match(conditionMessage(own_of(f = function(rows) stop("no such luck"))),
               "measure 'f' failed in m a: no such luck")
  expect_match(conditionMessage(own_of(f = function(rows) letters[1:2])),
               "measure 'f' gave c\\(\"a\", \"b\"\\) in m a; it has to give a number")
  expect_match(conditionMessage(own_of(f = function(rows) if (nrow(rows) < 20) stop("too few") else 1)),
               "failed in m a with some replications left out: too few")
  expect_s3_class(own_of(function(rows) 1), "simferry_error_usage")
  expect_match(conditionMessage(own_of(f = 1)), "own takes functions")
  expect_match(conditionMessage(own_of(f = mean, f = mean)), "own has two measures \"f\"")
  found <- sim_measures(estimates(20), estimate = "b", by = "m", data_set = "rep", measures = "mean",
                        own = list(none = function(rows) NA, logical = function(rows) TRUE))
  expect_equal(found$estimate[found$measure != "mean"], c(NaN, 1, NaN, 1))
})

test_that("columns of dates and other classes may be beside the estimates, and tell rows apart", {
  needs_python()
  data <- estimates()
  plain <- sim_measures(data, estimate = "b", by = "m", measures = "mean", data_set = "rep")
  data$day <- as.Date("2026-01-01") + (data$m == "b")
  data$took <- as.difftime(1, units = "secs")
  beside <- sim_measures(data, estimate = "b", by = "m", measures = "mean", data_set = "rep")
  expect_equal(beside$estimate, plain$estimate)
  by_day <- sim_measures(data, estimate = "b", by = "day", measures = "mean", data_set = "rep")
  expect_equal(by_day$day, c("2026-01-01", "2026-01-02"))
  expect_equal(by_day$estimate, plain$estimate)
})
