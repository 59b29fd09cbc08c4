test_that("a dialogue prints lines, and asks only where somebody can answer", {
  steps <- list(list(kind = "line", value = "+ add Bucket"), list(kind = "question", value = "Deploy?"),
                list(kind = "end", value = NULL))
  asked <- list()
  bridge <- function(verb, ...) {
    asked[[length(asked) + 1L]] <<- list(verb, ...)
    steps[[length(asked)]]
  }
  with_mocks(list(bridge = bridge), {
    deploy <- function() infra_deploy("lab", parameters = list(KeepImages = 3))
    expect_message(error <- error_of(deploy()), "+ add Bucket", fixed = TRUE)
  })
  expect_s3_class(error, "simferry_error_usage")
  expect_match(conditionMessage(error), "not interactive.*yes = TRUE")
  expect_identical(asked[[1]], list("infra_deploy", name = "lab", template = NULL, parameters = list(KeepImages = 3),
                                    yes = FALSE))
  expect_identical(asked[[3]], list("infra_next", answer = FALSE))
})

test_that("what is there is printed", {
  found <- list(stacks = c(lab = "CREATE_COMPLETE"), text = c("stack lab", "runs now: 0 instances"))
  with_mocks(list(bridge = function(verb, ...) found), {
    expect_s3_class(shown <- infra_show("lab"), "simferry_infra")
    expect_output(print(shown), "stack lab\nruns now: 0 instances", fixed = TRUE)
    expect_output(expect_identical(print(shown), shown))
  })
  done <- function(verb, ...) list(kind = "end", value = if (verb == "infra_delete") TRUE else found)
  with_mocks(list(bridge = done), {
    expect_invisible(infra_delete("lab", yes = TRUE))
    expect_identical(infra_deploy("lab", yes = TRUE)$stacks, c(lab = "CREATE_COMPLETE"))
  })
})

test_that("all that is there is listed, costs are asked for with a warning, and images are deleted", {
  asked <- list()
  bridge <- function(verb, ...) {
    asked[[length(asked) + 1L]] <<- list(verb, ...)
    switch(verb, infra_list = list(runs = data.frame(address = "s3://lab/r"), text = "storage: $0.00 a month"),
           infra_show = if (list(...)$costs) list(kind = "line", value = "it charges"), image_prune = , infra_next =
             list(kind = "end", value = list(images = data.frame(), text = "lab")))
  }
  with_mocks(list(bridge = bridge), {
    expect_output(print(infra_list()), "storage: $0.00 a month", fixed = TRUE)
    expect_message(found <- infra_show("lab", costs = TRUE), "it charges")
    expect_s3_class(found, "simferry_infra")
    expect_invisible(image_prune("lab", keep = 2, store = "s3://mine"))
  })
  expect_identical(asked[[4]], list("image_prune", repository = "lab", keep = 2, older_than = 0, used = FALSE,
                                    store = "s3://mine", yes = FALSE))
})

test_that("the template is a text, and a wrong name an error", {
  needs_python()
  text <- tryCatch(infra_template(), simferry_error_python = function(e) lacking("aws", conditionMessage(e)))
  expect_match(text, "^AWSTemplateFormatVersion")
  expect_error(infra_template("rstdio"), "there is no template rstdio", class = "simferry_error_usage")
})

test_that("the sagemaker backend takes a stack", {
  expect_identical(sim_sagemaker(stack = "lab")$stack, "lab")
})
