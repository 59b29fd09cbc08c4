simulate <- function() {
  x <- rnorm(20)
  ci <- t.test(x)$conf.int
  c(lower = ci[1], upper = ci[2])
}
