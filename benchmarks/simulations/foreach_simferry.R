# Rscript foreach_simferry.R LOOP LIBRARY PYTHON STORE: the first two loops of a session on two workers; prints the
# seconds of each, and those of the registration before.
arguments <- commandArgs(trailingOnly = TRUE)
Sys.setenv(SIMFERRY_PYTHON = arguments[3])
library(foreach)
library(simferry, lib.loc = arguments[2])
source(arguments[1])
seconds <- function(code) system.time(code)[["elapsed"]]
registration <- seconds(registerDoSimferry(workers = 2, seed = 1, store = arguments[4]))
cat("", registration, seconds(loop()), seconds(loop()))
