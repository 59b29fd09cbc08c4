simulate <- function(n, mean) {
  ci <- t.test(rnorm(n, mean))$conf.int
  c(lower = ci[1], upper = ci[2])
}
