test_that("a connection is held until it ends, and closed when it is interrupted", {
  asked <- character()
  left <- 2L
  bridge <- function(verb, ...) {
    asked <<- c(asked, verb)
    if (verb == "infra_rstudio_is_open") {
      left <<- left - 1L
      return(left > 0L)
    }
    if (verb == "infra_rstudio_open") return(c("RStudio is at http://localhost:8800", "and so on"))
  }
  with_mocks(list(bridge = bridge), {
    said <- testthat::capture_messages(expect_invisible(infra_rstudio_open(port = 8800)))
    expect_identical(sub("\n", "", said), c("RStudio is at http://localhost:8800", "and so on",
      "Interrupting ends the connection; RStudio goes on.", "The connection has ended."))
    expect_identical(asked, paste0("infra_rstudio_", c("open", "is_open", "is_open", "close")))
  })
  asked <- character()
  broken <- function(verb, ...) {
    asked <<- c(asked, verb)
    if (verb == "infra_rstudio_is_open") stop("interrupted")
  }
  with_mocks(list(bridge = broken), expect_error(suppressMessages(infra_rstudio_open()), "interrupted"))
  expect_identical(tail(asked, 1), "infra_rstudio_close")
})

test_that("what is there is printed, and what is made is given", {
  found <- list(state = "running", text = c("stack simferry-rstudio", "RStudio: i-1"))
  asked <- list()
  bridge <- function(verb, ...) {
    asked[[verb]] <<- list(...)
    switch(sub("infra_rstudio_", "", verb), show = found, password = "secret",
           delete = list(kind = "end", value = TRUE), list(kind = "end", value = found))
  }
  with_mocks(list(bridge = bridge), {
    expect_output(print(infra_rstudio_show()), "stack simferry-rstudio\nRStudio: i-1", fixed = TRUE)
    made <- infra_rstudio_deploy("lab", accept_licence = TRUE, parameters = list(IdleMinutes = 90), yes = TRUE)
    expect_identical(made$state, "running")
    expect_identical(infra_rstudio_start()$state, "running")
    expect_identical(infra_rstudio_stop()$state, "running")
    expect_identical(infra_rstudio_password(), "secret")
    expect_true(infra_rstudio_delete(yes = TRUE))
  })
  expect_identical(asked$infra_rstudio_deploy,
                   list(name = "lab", accept_licence = TRUE, template = NULL, parameters = list(IdleMinutes = 90),
                        yes = TRUE))
})
