test_that("version 2's names are there, and ask AWS as R's environment says", {
  needs_python()
  old <- Sys.getenv("AWS_DEFAULT_REGION", NA)
  Sys.setenv(AWS_DEFAULT_REGION = "eu-west-3")
  on.exit(if (is.na(old)) Sys.unsetenv("AWS_DEFAULT_REGION") else Sys.setenv(AWS_DEFAULT_REGION = old))
  sagemaker <- tryCatch(sim_sagemaker_module(), simferry_error_python = function(e) lacking("aws", conditionMessage(e)))
  expect_true(all(c("Session", "get_execution_role", "processing", "s3") %in% names(sagemaker)))
  expect_equal(reticulate::import("os")$environ$get("AWS_DEFAULT_REGION"), "eu-west-3")
})
