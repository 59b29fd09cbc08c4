# Tells when the first iteration runs. The first call, of a few, is there to start everything.
count <- 10
loop <- function() {
  began <- as.numeric(Sys.time())
  first <- foreach(i = seq_len(count), .combine = c) %dopar% if (i == 1) as.numeric(Sys.time()) else 0
  cat("", first[1] - began)
  stopifnot(length(first) == count)
  count <<- 200000
}
