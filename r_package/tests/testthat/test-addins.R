test_that("the addins put the call that a user could have typed into the console", {
  skip_if_not_installed("rstudioapi")
  sent <- NULL
  answers <- list(Parameters = "n = c(10, 20)", Replications = "50")
  path <- "/home/me/power.R"
  rstudio <- list(getSourceEditorContext = function() list(id = "1", path = path), documentSave = function(id) TRUE,
                  showPrompt = function(title, ...) answers[[title]],
                    sendToConsole = function(code, execute) sent <<- code)
  in_rstudio <- function(code) with_mocks(rstudio, code, "rstudioapi")
  in_rstudio(addin_run())
  expect_equal(sent,
               "run <- simferry::sim_run(\"/home/me/power.R\", simferry::sim_grid(n = c(10, 20)), replications = 50)")
  expect_silent(parse(text = sent))
  sent <- answers$Replications <- NULL
  in_rstudio(addin_run())
  expect_null(sent)
  path <- ""
  expect_error(in_rstudio(addin_run()), "has not been saved", class = "simferry_error_usage")
})

test_that("the table of the latest run is opened", {
  skip_if_not_installed("rstudioapi")
  sent <- NULL
  latest <- list(sim_open = function(run, store) list(id = "power-1", folder = "/runs/power-1"))
  with_mocks(list(sendToConsole = function(code, execute) sent <<- code), with_mocks(latest, addin_results()),
             "rstudioapi")
  expect_equal(sent, "View(simferry::sim_results(\"/runs/power-1\"), \"power-1\")")
})

test_that("every addin that RStudio is told of exists", {
  addins <- read.dcf(system.file("rstudio", "addins.dcf", package = "simferry"))
  for (name in addins[, "Binding"]) expect_true(is.function(get(name, asNamespace("simferry"))))
})
