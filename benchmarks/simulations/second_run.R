# Rscript second_run.R STORE LIBRARY PYTHON: ten replications of a function that was just typed, the second time in a
# session; prints its seconds.
arguments <- commandArgs(trailingOnly = TRUE)
Sys.setenv(SIMFERRY_PYTHON = arguments[3])
library(simferry, lib.loc = arguments[2])
simulate <- function(n) c(mean = mean(rnorm(n)))
start <- function(seed)
  sim_run(simulate, sim_grid(n = 10), replications = 10, seed = seed, workers = 2, store = arguments[1])
invisible(start(1))
seconds <- system.time(run <- start(2))[["elapsed"]]
stopifnot(sim_status(run)$done == 10)
cat(seconds)
