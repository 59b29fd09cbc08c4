library(testthat)
library(simferry)

test_check("simferry")
