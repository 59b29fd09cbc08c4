simulate <- function(k) {
  x <- rnorm(k)
  names(x) <- paste0("out_", seq_len(k))
  x
}
