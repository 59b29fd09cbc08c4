simulate <- function(a, b) a + b
