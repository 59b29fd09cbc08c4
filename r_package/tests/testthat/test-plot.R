kinds <- c("zip", "forest", "lolly", "nested_loop", "estimates", "convergence", "differences")

# Two conditions, two methods; in the second condition one of them has nothing.
drawn <- function() {
  set.seed(2)
  out <- expand.grid(m = c("b", "a"), replication = 1:40, condition = 1:2, stringsAsFactors = FALSE)
  out$est <- rnorm(160)
  out$est[out$m == "a" & out$condition == 2] <- NA
  out$se <- 1
  out
}

measured <- function(...) sim_measures(drawn(), estimate = "est", truth = 0, se = "se", by = "m", ...)

with_device <- function(code) {
  grDevices::pdf(NULL)
  on.exit(grDevices::dev.off())
  force(code)
}

test_that("measures are drawn in every way, by what was drawn", {
  needs_python()
  m <- measured()
  expect_s3_class(m, "data.frame")
  before <- with_device({
    settings <- graphics::par(no.readonly = TRUE)
    for (kind in kinds) {
      found <- plot(m, kind)
      expect_gt(nrow(found), 0)
      expect_identical(graphics::par("mar", "oma", "mfrow"), settings[c("mar", "oma", "mfrow")])
      plot(m, kind, methods = if (kind == "differences") "a" else "b", conditions = if (kind != "nested_loop") 1)
    }
    plot(m)
  })
  of <- function(table, name) table[table$measure == name & !is.na(table$estimate), ]
  expect_equal(of(before, "bias")$estimate, of(m, "bias")$estimate)
  expect_equal(of(before, "bias")$upper, with(of(m, "bias"), estimate + 1.96 * mcse))
  pairs <- with_device(plot(m, "differences", xlim = c(-2, 2)))
  data <- drawn()
  expect_setequal(pairs$difference, (data$est[data$m == "a"] - data$est[data$m == "b"])[1:40])
})

test_that("a part of a table, and contrasts, are drawn as they are", {
  needs_python()
  m <- measured()
  with_device({
    part <- plot(m[m$measure == "mse" & m$condition == 1, ], "forest")
    expect_equal(part$estimate, m$estimate[m$measure == "mse" & m$condition == 1])
    away <- sim_contrast(drawn(), estimate = "est", truth = 0, by = "m")
    found <- plot(away, "lolly", measures = "bias", conditions = 1)
    expect_equal(found$estimate, away$estimate[away$measure == "bias" & away$condition == 1])
  })
})

test_that("figures say how many replications they stand on, and how many of them are drawn", {
  panels <- data.frame(many = c(1200, 0, 3), replications = c(1200, 5, 5), coverage = c(0.95, NA, 1))
  expect_equal(said_of_coverage(panels, c(1000, 0, 3)),
               c("coverage 0.9500, 1,200 replications, 1,000 drawn", "no intervals",
                 "coverage 1.0000, 3 of 5 replications"))
})

test_that("a run is drawn, and a measure of the user", {
  needs_python()
  run <- quiet_run(draws, sim_grid(n = c(4, 8), effect = 0:1), replications = 10, seed = 1)
  with_device({
    found <- plot(run, "nested_loop", estimate = "mean", truth = "effect")
    expect_equal(found$position, 1:4)
    zip <- plot(run, "zip", conditions = 2, estimate = "mean", truth = "effect", se = "u", main = "a title")
    expect_equal(nrow(zip), 10)
    m <- sim_measures(run, estimate = "mean", own = list(largest = function(rows) max(rows$mean)))
    own <- plot(m, "forest", measures = "largest")
    expect_equal(own$estimate, m$estimate[m$measure == "largest"])
    expect_equal(nrow(plot(run)), 8)
  })
  rows <- as.data.frame(sim_results(run))
  expect_equal(own$estimate, as.numeric(tapply(rows$mean, rows$condition, max)))
})

test_that("what can't be drawn is one error", {
  needs_python()
  m <- measured()
  expect_error(plot(m, "zipp"), "Did you mean zip?", class = "simferry_error_usage")
  expect_error(plot(m, "zip", methods = "c"), "no method 'c'", class = "simferry_error_usage")
  expect_error(plot(m[m$measure == "bias", ], "zip"), "shows single estimates", class = "simferry_error_usage")
  expect_error(plot(sim_measures(drawn()[1:80, ], estimate = "est", by = "m"), "zip"), "needs the truth",
               class = "simferry_error_usage")
})

test_that("a table of measures is one for others", {
  needs_python()
  testthat::skip_if_not_installed("knitr")
  m <- measured(measures = "bias")
  expect_match(knitr::kable(m)[3], "bias")
  expect_equal(rbind(m, m)$estimate, rep(m$estimate, 2))
})
