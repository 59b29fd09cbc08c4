test_that("an endpoint is deployed, asked, listed and deleted", {
  asked <- list()
  bridge <- function(verb, ...) {
    asked[[verb]] <<- list(...)
    found <- list(name = "trees", text = "endpoint trees  InService")
    switch(verb, endpoint_deploy = list(kind = "end", value = found),
           endpoint_delete = list(kind = "end", value = TRUE), endpoint_describe = found,
           endpoint_predict = c(0.5, 1), endpoint_logs = c("a", "b"),
           endpoints = data.frame(name = "trees"),
           endpoint_invoke = list(body = charToRaw("1\n"), content_type = "text/csv"))
  }
  with_mocks(list(bridge = bridge), {
    expect_message(served <- sim_endpoint_deploy("trees", "model.tar.gz", instances = 2, env = list(A = 1), yes = TRUE),
                   "endpoint trees  InService", fixed = TRUE)
    expect_s3_class(served, "simferry_endpoint")
    expect_output(print(served), "endpoint trees  InService", fixed = TRUE)
    expect_identical(predict(served, matrix(1:4, 2)), c(0.5, 1))
    expect_identical(sim_endpoint_invoke("trees", "1,2"), "1\n")
    expect_error(sim_endpoint_invoke("trees"), "give either body or file", class = "simferry_error_usage")
    expect_identical(sim_endpoint_logs(served), c("a", "b"))
    expect_identical(sim_endpoints()$name, "trees")
    expect_true(sim_endpoint_delete(served))
  })
  expect_identical(asked$endpoint_deploy[c("image", "model", "instances", "env", "yes")],
                   list(image = "trees", model = "model.tar.gz", instances = 2, env = list(A = 1), yes = TRUE))
  expect_identical(asked$endpoint_predict$data, data.frame(V1 = 1:2, V2 = 3:4))
  expect_identical(asked$endpoint_delete, list(name = "trees", any = FALSE))
  expect_error(sim_endpoint(3), "is no name of an endpoint", class = "simferry_error_usage")
})

test_that("an answer that is no text is raw, and a no deploys nothing", {
  bridge <- function(verb, ...)
    if (verb == "endpoint_deploy") list(kind = "end", value = NULL)
    else list(body = as.raw(c(1, 0)), content_type = "application/x-npy")
  with_mocks(list(bridge = bridge), {
    expect_identical(sim_endpoint_invoke("trees", as.raw(1)), as.raw(c(1, 0)))
    expect_null(sim_endpoint_deploy("trees"))
  })
})

test_that("a transform job's answers are files", {
  done <- list(name = "job", output = "answers", files = "answers/a.csv.out", seconds = 90, dollars = 0.01,
               text = "1 file in answers")
  with_mocks(list(bridge = function(verb, ...) list(kind = "end", value = done)), {
    expect_message(made <- sim_transform("trees", "model.tar.gz", "a.csv", "answers"), "1 file in answers")
    expect_identical(made, done[1:5])
  })
})
