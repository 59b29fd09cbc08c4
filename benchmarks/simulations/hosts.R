library(doParallel)
cluster <- makeCluster()   # all cores of all hosts
registerDoParallel(cluster)
means <- foreach(i = 1:100, .combine = c) %dopar% mean(rnorm(10))
stopCluster(cluster)
write.csv(data.frame(mean = mean(means)), "result.csv", row.names = FALSE)
