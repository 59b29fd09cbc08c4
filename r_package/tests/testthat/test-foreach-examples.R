# foreach's own examples: what they print is what they print sequentially, with one worker as sequentially.

# Made smaller, where an example takes long.
smaller <- list(
  apply.R = c("rnorm(16000000), 4000)" = "rnorm(160000), 400)"),
  bootpar.R = c("trials <- 10000" = "trials <- 100"),
  bootpar2.R = c("trials <- 10000" = "trials <- 100"),
  bootseq.R = c("trials <- 10000" = "trials <- 100"),
  comprehensions.R = c("n <- 30" = "n <- 13"),
  cross.R = c("NUMCOLS <- 100" = "NUMCOLS <- 6"),
  for.R = c("rnorm(10000)" = "rnorm(100)"),
  rf.R = c("runif(100000)" = "runif(5000)", "nr <- 1000" = "nr <- 100", "idiv(1000" = "idiv(50"),
  tuneRF.R = c("runif(2000)" = "runif(600)", "c(25, 50, 100, 200, 500, 1000)" = "c(25, 50)")
)

# Iterations that draw random numbers: sequentially from R's one generator, here each from a stream of its own. What
# they give has to be the same for one worker and for two.
random <- c("bootpar.R", "bootpar2.R", "rf.R", "tuneRF.R")

# Only loops with %do%: nothing changes for them. They are run with %dopar% in its place too, but for
# for.R, whose iterations draw random numbers; output.R, whose iterator's file is a connection, so that it is read here
# anyway; and qsort.R, which has some hundreds of loops, each of a few iterations.
only_do <- c("bigmean2.R", "colMeans.R", "comprehensions.R", "feapply.R", "isplit.R", "sqlite.R", "sincSEQ.R")

examples <- c(list.files(system.file("examples", package = "foreach"), "[.]R$", full.names = TRUE),
              system.file("demo", "sincSEQ.R", package = "foreach"))

# What an example prints, run in the folder of the examples, and the error in which it ends: they were written for an
# older R, and for older packages (isplit.R and sqlite.R fail today, sequentially too), and some of them warn.
printed <- function(code) {
  old <- setwd(dirname(examples[1]))
  on.exit(setwd(old))
  grDevices::pdf(NULL)
  on.exit(grDevices::dev.off(), add = TRUE)
  with_options <- options(pager = function(files, ...) writeLines(readLines(files[1])), digits = 15,
                          device = function(...) grDevices::pdf(NULL))
  on.exit(options(with_options), add = TRUE)
  set.seed(1)
  # takes another time each time
  own <- list(system.time = function(expr) {
    expr
    "some time"
  })
  here <- list2env(own, parent = globalenv())
  utils::capture.output(suppressWarnings(suppressMessages(tryCatch(eval(parse(text = code, keep.source = FALSE), here),
                                                                   error = function(e) cat("Error:",
                                                                       conditionMessage(e))))))
}

code_of_example <- function(path) {
  code <- paste(readLines(path), collapse = "\n")
  for (what in names(smaller[[basename(path)]])) {
    expect_true(grepl(what, code, fixed = TRUE), info = basename(path))
    code <- sub(what, smaller[[basename(path)]][[what]], code, fixed = TRUE)
  }
  code
}

test_that("foreach's examples give what they give sequentially", {
  needs_python()
  for (package in c("foreach", "RSQLite", "randomForest")) skip_if_not_installed(package)
  library(foreach)
  library(iterators)   # which foreach attached, when they were written
  failed <- character()
  expect_length(examples, 24)
  for (path in examples) {
    code <- code_of_example(path)
    name <- basename(path)
    foreach::registerDoSEQ()
    if (name %in% random) {
      one <- with_loops(printed(sub("getDoParWorkers()", "2", code, fixed = TRUE)), workers = 1)
      expect_gt(length(one), 0)
      expect_identical(with_loops(printed(code), workers = 2), one, info = name)
    } else {
      sequential <- printed(code)
      if (any(grepl("^Error:", sequential))) failed <- c(failed, name)
      expect_identical(with_loops(printed(code), workers = 1), sequential, info = name)
      if (name %in% only_do)
        expect_identical(with_loops(printed(gsub("%do%", "%dopar%", code, fixed = TRUE)), workers = 2), sequential,
                         info = name)
    }
  }
  expect_true(all(failed %in% c("isplit.R", "sqlite.R")))
})

test_that("the examples of foreach's manual give what they give sequentially", {
  needs_python()
  skip_if_not_installed("foreach")
  file <- tempfile()
  tools::Rd2ex(tools::Rd_db("foreach")[["foreach.Rd"]], file)
  library(foreach)
  library(iterators)
  code <- readLines(file)
  shown <- function() {   # what it shows at the console
    set.seed(1)
    here <- new.env(parent = globalenv())
    show <- function(expression) {
      value <- withVisible(eval(expression, here))
      if (value$visible) print(value$value)
    }
    utils::capture.output(for (expression in parse(text = code, keep.source = FALSE)) show(expression))
  }
  foreach::registerDoSEQ()
  sequential <- shown()
  expect_gt(length(sequential), 30)
  expect_identical(with_loops(shown()), sequential)
})
