test_that("backends are descriptions, and print as the calls that make them", {
  expect_equal(unclass(sim_local(workers = 2)), list(name = "local", workers = 2))
  expect_output(print(sim_docker("simferry-r", jobs = 2)), "sim_docker(image = \"simferry-r\", jobs = 2)", fixed = TRUE)
})

test_that("containers need an image, unless the simulation is one", {
  expect_output(print(sim_docker()), "sim_docker()", fixed = TRUE)
  needs_python()
  expect_error(sim_run(draws, data.frame(n = 1), 1, backend = sim_docker()),
               "needs an image.*sim_docker\\(image = \"simferry-r\"\\); image_build\\(script =",
               class = "simferry_error_usage")
})

test_that("several values of an option stay several", {
  place <- sim_sagemaker(c("ml.c5.xlarge", "ml.m5.xlarge"), jobs = 2, tags = c(project = "ferry"),
                         network_isolation = TRUE)
  expect_equal(unclass(place), list(name = "sagemaker", instance_type = c("ml.c5.xlarge", "ml.m5.xlarge"), jobs = 2,
                                    network_isolation = TRUE, tags = c(project = "ferry")))
  expect_equal(eval(str2lang(format(place))), place)
})

test_that("AWS Batch takes a size instead of an instance type", {
  place <- sim_batch(jobs = 200, vcpus = 4, memory = "8G", on = "demand")
  expect_equal(unclass(place), list(name = "batch", jobs = 200, vcpus = 4, memory = "8G", on = "demand"))
  expect_equal(eval(str2lang(format(place))), place)
  needs_python()
  on_batch <- function(...) sim_run(draws, data.frame(n = 1), 1, backend = list(name = "batch", ...))
  expect_error(on_batch(on = "fargate", vcpus = 3), "has no size of 3 vCPUs.*sim_batch\\(vcpus = 4, memory = \"8G\"\\)",
               class = "simferry_error_usage")
  expect_error(on_batch(hosts = 2), "no option hosts.*one machine", class = "simferry_error_usage")
})

test_that("options of another backend are refused", {
  needs_python()
  expect_error(sim_run(draws, data.frame(n = 1), 1, backend = list(name = "local", image_name = "x")),
               "no option image_name", class = "simferry_error_usage")
})
