loop <- function() foreach(i = 1:10000, .combine = rbind, .packages = "stats") %dopar% {
  x <- rnorm(20)
  c(mean(x), var(x))
}
