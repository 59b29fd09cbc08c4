# Rscript ttest_future.R SIMULATION REPLICATIONS: two forked processes, one stream for each replication.
arguments <- commandArgs(trailingOnly = TRUE)
source(arguments[1])
replications <- as.integer(arguments[2])

options(parallelly.fork.enable = TRUE)
future::plan(future::multicore, workers = 2)
stopifnot(inherits(future::plan(), "multicore"), future::nbrOfWorkers() == 2)
set.seed(1)
results <- future.apply::future_lapply(seq_len(replications), function(i) simulate(), future.seed = TRUE)
results <- as.data.frame(do.call(rbind, results))
stopifnot(nrow(results) == replications)
