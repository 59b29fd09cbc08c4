# Rscript foreach_sockets.R LOOP: the second loop of a session on two socket workers; prints its seconds.
library(doParallel)
source(commandArgs(trailingOnly = TRUE)[1])
cluster <- makeCluster(2)
registerDoParallel(cluster)
invisible(loop())
cat(system.time(loop())[["elapsed"]])
stopCluster(cluster)
