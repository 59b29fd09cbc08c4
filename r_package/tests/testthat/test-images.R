test_that("an image is built from a folder or for a script", {
  needs_python()
  expect_error(image_build(), "name a folder with a Dockerfile, or a script", class = "simferry_error_usage")
  expect_error(image_build(tempfile()), "there is no Dockerfile in ", class = "simferry_error")
})
