# 10,000 rows of number, text and logical; every row is another, and some values are NA.
simulate <- function(k) {
  i <- (k - 1) * 10000 + 1:10000
  data.frame(number = ifelse(i %% 1000 == 0, NA, sin(i)), text = ifelse(i %% 999 == 0, NA, paste0("\u00e9", i)),
             flag = i %% 3 == 0)
}
