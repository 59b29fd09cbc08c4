# How often do intervals for a mean cover it? Student's t interval and the bootstrap percentile interval, on one sample.

# n: sample size, at least 2; distribution: "normal" (mean 0, sd 1) or "exponential" (mean 1);
# level: nominal coverage; bootstrap: number of resamples, at least 1.
# covered_*: 1 where the interval holds the true mean, else 0; width_*: upper end minus lower end.
simulate <- function(n, distribution = "normal", level = 0.95, bootstrap = 199) {
  stopifnot(n >= 2, n == round(n), level > 0, level < 1, bootstrap >= 1, bootstrap == round(bootstrap))
  x <- switch(distribution,
    normal = rnorm(n),
    exponential = rexp(n),
    stop("distribution must be normal or exponential, not ", distribution)
  )
  true_mean <- c(normal = 0, exponential = 1)[[distribution]]
  tails <- c((1 - level) / 2, (1 + level) / 2)

  t_interval <- mean(x) + qt(tails, n - 1) * sd(x) / sqrt(n)

  resamples <- matrix(x[sample.int(n, n * bootstrap, replace = TRUE)], n)
  # type 6 puts the p quantile at p * (bootstrap + 1): of 199 resampled means, the 5th and the 195th for level 0.95
  bootstrap_interval <- quantile(colMeans(resamples), tails, type = 6, names = FALSE)

  covers <- function(interval) as.numeric(interval[1] <= true_mean && true_mean <= interval[2])
  c(
    covered_t = covers(t_interval),
    covered_bootstrap = covers(bootstrap_interval),
    width_t = diff(t_interval),
    width_bootstrap = diff(bootstrap_interval)
  )
}
