# Rscript foreach_mclapply.R: the loop of foreach_small.R by mclapply on two forks; prints the second one's seconds.
library(parallel)
body <- function(i) {
  x <- rnorm(20)
  c(mean(x), var(x))
}
loop <- function() do.call(rbind, mclapply(1:10000, body, mc.cores = 2))
invisible(loop())
cat(system.time(loop())[["elapsed"]])
