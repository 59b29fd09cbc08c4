# How often do two tests find a difference between two groups? Student's t, and Wilcoxon's rank-sum test.

# n: size of each group, at least 2; effect: difference of the means, in standard deviations; distribution: of
# both groups, "normal" or "exponential" (standard deviation 1).
# A row for each test: its p-value.
simulate <- function(n, effect, distribution = "normal") {
  stopifnot(n >= 2, n == round(n))
  draw <- switch(distribution,
    normal = rnorm,
    exponential = rexp,
    stop("distribution must be normal or exponential, not ", distribution)
  )
  x <- draw(n)
  y <- draw(n) + effect
  data.frame(
    test = c("t", "wilcoxon"),
    p = c(t.test(x, y, var.equal = TRUE)$p.value, wilcox.test(x, y)$p.value)
  )
}
