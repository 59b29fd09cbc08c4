test_that("the example of the manual works from beginning to end", {
  needs_python()
  design <- sim_grid(n = c(10, 20), effect = c(0, 0.5))
  power <- typed("function(n, effect) { x <- rnorm(n, effect); c(p = t.test(x)$p.value, est = mean(x)) }")
  store <- tempfile()
  expect_message(run <- sim_run(power, design, replications = 20, seed = 2026, store = store),
                 "4 conditions x 20 replications, seed 2026")
  rows <- sim_results(run)
  expect_equal(dim(rows), c(80, 6))
  expect_equal(names(rows), c("condition", "replication", "n", "effect", "p", "est"))
  # replication 2 of condition 3: its stream, its arguments
  expect_output(sim_replay(run, 3, 2), format(rows$p[42], digits = 7), fixed = TRUE)
})

test_that("the same seed gives the same table as a script, bit for bit, whatever the workers", {
  needs_python()
  folder <- tempfile()
  dir.create(folder)
  script <- file.path(folder, "draws.R")
  writeLines(c("simulate <-", deparse(draws)), script)
  design <- data.frame(n = c(5, 10), effect = c(0.1, 0.2))
  one <- sim_results(quiet_run(draws, design, 30, seed = 5, workers = 1))
  two <- sim_results(quiet_run(draws, design, 30, seed = 5, backend = sim_local(workers = 2)))
  from_script <- sim_results(quiet_run(script, design, 30, seed = 5))
  expect_identical(one, two)
  expect_identical(one, from_script)
})

test_that("a function of Octave in a .m file is a simulation", {
  needs_python()
  if (!nzchar(Sys.which("octave-cli"))) lacking("octave", "Octave is not installed")
  script <- file.path(tempfile(), "scaled.m")
  dir.create(dirname(script))
  writeLines(c("function [x, gone] = scaled(n, gain)", "x = gain * mean(randn(n, 1));", "gone = NA;", "end"), script)
  rows <- sim_results(quiet_run(script, sim_grid(n = c(2, 3), gain = 0.5), 5, seed = 1))
  expect_equal(names(rows), c("condition", "replication", "n", "gain", "x", "gone"))
  expect_true(all(is.na(rows$gone) & !is.nan(rows$gone)) && !anyDuplicated(rows$x))
  writeLines("function t = scaled(n)\nt = table(n);\nend", script)
  expect_match(conditionMessage(error_of(quiet_run(script, sim_grid(n = 1), 1))), "table: return a struct")
})

test_that("globals, packages and constants are there", {
  needs_python()
  data <- data.frame(x = c(1, 2, 6))
  at_console(list(k = 100), {
    simulate <- typed("function(n, data) c(v = mean(data$x) + n * k, attached = 'package:testthat' %in% search())")
    run <- quiet_run(simulate, data.frame(n = 1:2), 1,
                     seed = 1, constants = list(data = data), packages = "testthat")
  })
  expect_equal(sim_results(run)$v, c(103, 203))
  expect_true(all(sim_results(run)$attached == 1))
})

test_that("what a function returns keeps its types", {
  needs_python()
  f <- typed("function(n) {
    data.frame(d = c(NA, NaN), i = c(1L, NA), l = c(NA, TRUE), s = c(NA, '\\u00fc'), f = factor(c('v', NA)))
  }")
  rows <- as.data.frame(sim_results(quiet_run(f, data.frame(n = 1), 1, seed = 1)))
  expect_identical(rows[4:8],
                   data.frame(d = c(NA, NaN), i = c(1L, NA), l = c(NA, TRUE), s = c(NA, "\u00fc"),
                              f = factor(c("v", NA))))
  expect_true(is.nan(rows$d[2]) && !is.nan(rows$d[1]))
})

test_that("what an earlier run computed is taken over, and computed anew with fresh", {
  needs_python()
  store <- tempfile()
  quiet_run(draws, data.frame(n = 3), 10, seed = 1, store = store)
  said <- function(...) {
    any(grepl("10 of 20 replications were computed by earlier runs", capture_messages(sim_run(...))))
  }
  expect_true(said(draws, data.frame(n = c(3, 4)), 10, seed = 1, store = store))
  expect_false(said(draws, data.frame(n = c(3, 4)), 10, seed = 1, store = store, fresh = TRUE))
})

test_that("an interactive session asks before many jobs start that cost money", {
  start <- function(many_jobs) if (many_jobs) TRUE else raise("many_jobs", "101 jobs", "a hint")
  asked <- NULL
  answer <- function(yes) function(question) {
    asked <<- question
    yes
  }
  expect_error(agreed(FALSE, start, FALSE, answer(TRUE)), class = "simferry_error_many_jobs")
  expect_null(asked)
  expect_error(agreed(FALSE, start, TRUE, answer(FALSE)), class = "simferry_error_many_jobs")
  expect_identical(asked, "101 jobs. Start them?")
  expect_true(agreed(FALSE, start, TRUE, answer(TRUE)))
})

test_that("bad input is told before anything starts", {
  needs_python()
  design <- data.frame(n = 1, effect = 2)
  store <- tempfile()
  told <- function(..., class = "usage", text) {
    expect_error(sim_run(..., store = store), text, class = paste0("simferry_error_", class))
  }
  told(typed("function(n, effect, other) 1"), design, 10, class = "simulation", text = "argument 'other'")
  told(typed("function(n) 1"), design, 10, class = "simulation", text = "no argument 'effect'")
  told(draws, design, replications = "many", text = "replications is \"many\"; it has to be a whole number")
  told(draws, design, replications = 1.5, text = "replications is 1.5")
  told(draws, design, text = "how many replications")
  told(draws, design, 10, seed = -1, text = "seed")
  told(draws, design, 10, backend = "dockr", text = "Did you mean docker")
  told(draws, design, 10, on_error = "stp", text = "continue or stop")
  told(draws, design, 10, constants = list(n = 1), class = "simulation", text = "both a parameter")
  told("nowhere.R", design, 10, class = "simulation", text = "not there")
  told("nowhere.R", design, 10, constants = list(a = 1), text = "go with a function")
  told("image:no-such-image", NULL, 101, backend = "batch", class = "many_jobs",
       text = "101 jobs of AWS Batch.*many_jobs = TRUE")
  told(42, design, 10, text = "neither a function")
  at_console(list(big = 1:5e8),
             told(typed("function(n, effect) sum(big)"), design, 10, class = "simulation", text = "big is 2,000 MB"))
  expect_length(list.files(store), 0)
})

test_that("inputs come along", {
  needs_python()
  folder <- tempfile()
  dir.create(folder)
  write.csv(data.frame(x = c(1, 2, 6)), file.path(folder, "data.csv"), row.names = FALSE)
  f <- typed("function(n) mean(read.csv(file.path(Sys.getenv('SIMFERRY_INPUT'), 'data', 'data.csv'))$x) + n")
  run <- quiet_run(f, data.frame(n = 1), 2, seed = 1, inputs = c(data = file.path(folder, "data.csv")))
  expect_equal(sim_results(run)[[4]], c(4, 4))
  expect_error(quiet_run(f, data.frame(n = 1), 2, inputs = list(data = list(place = folder, mod = "File"))),
               "Did you mean mode", class = "simferry_error_usage")
  expect_error(quiet_run(f, data.frame(n = 1), 2, inputs = 5), "an input has no name", class = "simferry_error_usage")
})

test_that("a plan says what would be computed", {
  needs_python()
  plan <- sim_plan(draws, data.frame(n = c(3, 4)), 1000, seed = 3, store = tempfile())
  expect_equal(c(plan$conditions, plan$total, plan$seed), c(2, 2000, 3))
  expect_output(print(plan), "2 conditions x 1,000 replications = 2,000; 0 already there", fixed = TRUE)
  expect_output(print(plan), "its results take about 0.1 MB of disk", fixed = TRUE)
  expect_output(print(sim_plan(draws, data.frame(n = 3), 10, pilot = FALSE)),
                "^1 condition x 10 replications = 10\ncode: draws$")
})

test_that("durations are said as a person would", {
  expect_equal(vapply(c(0.4, 12, 180, 7500), duration, ""), c("0.4 s", "12 s", "3 min", "2 h 05 min"))
})

test_that("files of the project are there for scripts and for functions of the session", {
  needs_python()
  folder <- normalizePath(tempfile("study-"), mustWork = FALSE)
  for (name in c("R", "scripts", "data")) dir.create(file.path(folder, name), recursive = TRUE)
  file.create(file.path(folder, ".here"))
  writeLines("f <- function() 3", file.path(folder, "R", "h.R"))
  writeLines(c("x", "1"), file.path(folder, "data", "d.csv"))
  writeLines("source('../R/h.R')\nsimulate <- function(n) f() + nrow(read.csv('../data/d.csv'))",
             file.path(folder, "scripts", "simulate.R"))
  of_script <- quiet_run(file.path(folder, "scripts", "simulate.R"), sim_grid(n = 1), 2, seed = 1, project = TRUE)
  expect_equal(sim_results(of_script)$value, c(4, 4))
  old <- setwd(file.path(folder, "scripts"))
  on.exit(setwd(old))
  simulate <- typed("function(n) { source('../R/h.R', local = TRUE); f() + nrow(read.csv('../data/d.csv')) }")
  expect_equal(sim_results(quiet_run(simulate, sim_grid(n = 1), 2, seed = 1, project = TRUE))$value, c(4, 4))
  plan <- sim_plan("simulate.R", sim_grid(n = 1), 2, seed = 1, project = TRUE, store = tempfile(), pilot = FALSE)
  expect_match(format(plan)[3], "^along: 4 files of .*study-")
})
