# Rscript foreach_simferry.R LOOP LIBRARY PYTHON STORE: the second loop of a session on two workers; prints its seconds.
arguments <- commandArgs(trailingOnly = TRUE)
Sys.setenv(SIMFERRY_PYTHON = arguments[3])
library(foreach)
library(simferry, lib.loc = arguments[2])
source(arguments[1])
registerDoSimferry(workers = 2, seed = 1, store = arguments[4])
invisible(loop())
cat(system.time(loop())[["elapsed"]])
