simulate <- function(n) c(mean = mean(rnorm(n)))
