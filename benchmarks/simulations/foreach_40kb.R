loop <- function() foreach(x = replicate(2000, rnorm(5000), simplify = FALSE), .combine = c) %dopar% mean(x)
