# Rscript mixture_mclapply.R SIMULATION DESIGN.csv REPLICATIONS: a fork for each replication, two at a time, in the
# design's order. (mclapply's default, which deals the work out beforehand, leaves a core idle at the end.)
# Prints the seconds spent in the simulation.
arguments <- commandArgs(trailingOnly = TRUE)
source(arguments[1])
simulate <- compiler::cmpfun(simulate) # or else every fork compiles it anew
design <- read.csv(arguments[2])
seconds <- rep(design$seconds, each = as.integer(arguments[3]))

RNGkind("L'Ecuyer-CMRG")
set.seed(1)
results <- parallel::mclapply(seconds, simulate, mc.cores = 2, mc.preschedule = FALSE)
cat(sum(unlist(results)), "\n")
