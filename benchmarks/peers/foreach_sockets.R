# Rscript foreach_sockets.R LOOP: a loop on two socket workers, which have run a small one before; prints its seconds.
library(doParallel)
source(commandArgs(trailingOnly = TRUE)[1])
cluster <- makeCluster(2)
registerDoParallel(cluster)
invisible(foreach(i = 1:4) %dopar% rnorm(i))
cat(system.time(loop())[["elapsed"]])
stopCluster(cluster)
