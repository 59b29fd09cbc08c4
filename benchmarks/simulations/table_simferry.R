# Rscript table_simferry.R SCRIPT RUN LIBRARY PYTHON: the run's table into R, the second time in a session; prints its
# seconds.
arguments <- commandArgs(trailingOnly = TRUE)
Sys.setenv(SIMFERRY_PYTHON = arguments[4])
library(simferry, lib.loc = arguments[3])
run <- sim_open(arguments[2])
invisible(sim_results(run))
seconds <- system.time(rows <- sim_results(run))[["elapsed"]]
source(arguments[1])
parts <- lapply(1:100, function(k) data.frame(condition = k, replication = 1L, k = as.numeric(k), simulate(k)))
stopifnot(identical(rows, do.call(rbind, parts)), identical(dim(rows), c(1000000L, 6L)))
cat(seconds)
