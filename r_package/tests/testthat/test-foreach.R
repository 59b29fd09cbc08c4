`%dopar%` <- foreach::`%dopar%`
`%:%` <- foreach::`%:%`
foreach <- foreach::foreach
when <- foreach::when

# What a loop gives here and sequentially is the same.
expect_as_sequential <- function(loop) {
  loop <- substitute(loop)
  where <- parent.frame()
  foreach::registerDoSEQ()
  sequential <- suppressWarnings(eval(loop, new.env(parent = where)))
  expect_identical(with_loops(suppressWarnings(eval(loop, new.env(parent = where)))), sequential,
                   label = deparse(loop)[1])
}

test_that("it tells its name and its workers", {
  with_loops({
    expect_equal(foreach::getDoParName(), "doSimferry")
    expect_equal(foreach::getDoParWorkers(), 2)
    expect_equal(foreach::getDoParVersion(), as.character(utils::packageVersion("simferry")))
  })
})

test_that("loops give what they give sequentially", {
  y <- 10
  twice <- function(x) 2 * x + y
  expect_as_sequential(foreach(i = 1:3) %dopar% sqrt(i))
  expect_as_sequential(foreach(i = 1:250, .combine = rbind) %dopar% c(a = i, b = i^2))
  expect_as_sequential(foreach(i = 1:7, .combine = rbind, .maxcombine = 3) %dopar% i)
  expect_as_sequential(foreach(i = 1:7, .combine = cbind, .maxcombine = 1e5) %dopar% i)
  expect_as_sequential(foreach(i = 1:7, j = letters[1:3], .combine = "c") %dopar% paste(j, i))
  expect_as_sequential(foreach(i = 1:7, .combine = "+", .init = 100) %dopar% i)
  expect_as_sequential(foreach(i = 1:7, .combine = list, .multicombine = TRUE, .maxcombine = 4) %dopar% i)
  expect_as_sequential(foreach(i = 1:7, .combine = function(a, b) a - b, .final = function(x) list(x)) %dopar% twice(i))
  expect_as_sequential(foreach(i = 1:30, .combine = max, .inorder = FALSE) %dopar% i)
  values <- list(1, c(a = 1, b = 2), NULL, "x", c(a = NA), 3L, as.raw(1:2), matrix(1:4, 2), factor("f"), 2i, NA_real_,
                 structure(1, unit = "m"), numeric())
  expect_as_sequential(foreach(i = 1:13) %dopar% values[[i]])
  expect_as_sequential(foreach(i = 1:5, .combine = rbind) %dopar% list(1L, 100000L, 2.5, "a", NULL)[[i]])
  expect_as_sequential(foreach(i = list(a = 1, b = NULL, c = "x")) %dopar% list(i, class(i), NULL))
  expect_as_sequential(foreach(i = factor(c("u", "v"))) %dopar% i)
  expect_as_sequential(foreach(d = as.Date("2024-02-28") + 0:2) %dopar% d)
  expect_as_sequential(foreach(1:4, x = 5:6) %dopar% x)
  expect_as_sequential(foreach(i = integer()) %dopar% i)
  expect_as_sequential(foreach(i = integer(), .combine = c) %dopar% i)
  expect_as_sequential(foreach(i = 1:3) %dopar% NULL)
  expect_as_sequential(foreach(i = 1:2) %dopar% list(quote(a + b), as.name("s"), c(x = NA, y = NaN), 1i, raw(2),
                                                     data.frame(k = i)))
})

test_that("iterators of any kind are carried along", {
  skip_if_not_installed("iterators")
  m <- matrix(1:12, 3)
  expect_as_sequential(foreach(column = iterators::iter(m, by = "col"), .combine = c) %dopar% sum(column))
  expect_as_sequential(foreach(part = iterators::isplit(1:10, rep(1:3, length.out = 10))) %dopar% part)
  expect_as_sequential(foreach(i = iterators::iter(1:10, checkFunc = function(v) v > 7), .combine = c) %dopar% i)
  expect_as_sequential(foreach(i = iterators::icount(4), j = iterators::icount(), .combine = c) %dopar% (i * j))
  count <- function() {
    n <- 0
    iterators::iter(function() {
      n <<- n + 1
      if (n > 5) stop("StopIteration", call. = FALSE)
      n
    })
  }
  expect_as_sequential(foreach(i = count(), .combine = c) %dopar% i)
})

test_that("nested loops and when()", {
  expect_as_sequential(foreach(i = 1:3, .combine = rbind) %:% foreach(j = 1:4, .combine = c) %dopar% (10 * i + j))
  expect_as_sequential(foreach(i = 1:3) %:% foreach(j = seq_len(i), .combine = c) %dopar% (10 * i + j))
  expect_as_sequential(foreach(i = 1:6, .combine = c) %:% when(i %% 2 == 0) %dopar% i)
  expect_as_sequential(foreach(a = 1:3, .combine = rbind) %:% foreach(b = 1:3,
                                                                      .combine = c) %:% when(a < b) %dopar% (a + b))
  expect_as_sequential({
    qsort <- function(x) {
      if (length(x) <= 1) return(x)
      p <- x[1]
      c(foreach(y = x, .combine = c) %:% when(y < p) %dopar% y, foreach(y = x, .combine = c) %:% when(y == p) %dopar% y)
    }
    qsort(c(3, 1, 2, 3))
  })
  # foreach's own warning would come once in each process
  inner <- function(i) foreach(j = 1:2, .combine = c) %dopar% (10 * i + j)
  expect_warning(with_loops(expect_equal(foreach(i = 1:2) %dopar% inner(i), list(c(11, 12), c(21, 22)))), NA)
})

test_that("errors: stop, remove, pass", {
  loop <- function(how, combine = c) {
    foreach(i = 1:6, .combine = combine, .errorhandling = how) %dopar% if (i %in% c(2, 5)) stop("no ", i) else i
  }
  expect_as_sequential(loop("remove"))
  with_loops({
    expect_error(loop("stop"), "task 2 failed - \"no 2\"", fixed = TRUE)
    passed <- loop("pass", list)
    expect_error(loop("no"), "should be one of")
    passed <- foreach(i = 1:3, .errorhandling = "pass") %dopar% if (i == 2) stop("no ", i) else i
    expect_equal(passed[c(1, 3)], list(1L, 3L))
    expect_s3_class(passed[[2]], "simpleError")
    expect_equal(conditionMessage(passed[[2]]), "no 2")
    own <- foreach(i = 1,
                   .errorhandling = "pass") %dopar% stop(structure(class = c("mine", "error", "condition"),
                                                                   list(message = "m", call = NULL, data = 1:3)))
    expect_s3_class(own[[1]], "mine")
    expect_equal(own[[1]]$data, 1:3)
  })
})

test_that("a process that crashes loses its iteration alone", {
  with_loops({
    out <- foreach(i = 1:5, .errorhandling = "pass") %dopar% if (i == 3) tools::pskill(Sys.getpid(), 9) else i
    expect_equal(out[-3], list(1L, 2L, 4L, 5L))
    expect_match(conditionMessage(out[[3]]), "the process ended")
  })
})

test_that("warnings come back to the console", {
  with_loops({
    expect_warning(out <- foreach(i = 1:3, .combine = c) %dopar% {
      if (i == 2) warning("beware of ", i)
      i
    },
                   "beware of 2")
    expect_equal(out, 1:3)
  })
})

test_that("what the body refers to is exported, and .packages are attached", {
  add <- function(x) x + offset()
  offset <- function() 5
  at_console(list(far = 100, further = typed("function(x) x + far")), with_loops({
    inner <- function(k) foreach(i = 1:2, .combine = c) %dopar% (further(i) + k + add(0))
    expect_equal(inner(1000), c(1106, 1107))
    dots <- function(...) foreach(i = 1:2, .combine = c) %dopar% (i + sum(...))
    expect_equal(dots(1, 2), c(4, 5))
    hidden <- 1
    expect_message(
      expect_error(foreach(i = 1, .noexport = "hidden") %dopar% hidden, "object 'hidden' not found"),
      "hidden is here, but the code does not show that it is used: .export = \"hidden\"  sends it along", fixed = TRUE
    )
    expect_equal(unlist(foreach(i = 1, .export = "hidden") %dopar% get("hidden")), 1)
    expect_equal(error_of(foreach(i = 1, .export = "nowhere") %dopar% i)$code, "usage")
    expect_true(unlist(foreach(i = 1, .packages = "splines") %dopar% is.function(bs)))
    # it uses one that is attached
    expect_true(unlist(foreach(i = 1) %dopar% {
      if (i > 1) expect_true(i)
      "package:testthat" %in% search()
    }))
    expect_false(unlist(foreach(i = 1) %dopar% ("package:testthat" %in% search())))
    expect_match(conditionMessage(error_of(foreach(i = 1, .packages = "no.such") %dopar% i)),
                 "no.such is not installed")
    # functions among what is iterated over
    expect_equal(foreach(f = list(further, function(x) x + add(0)), .combine = c) %dopar% f(1), c(101, 6))
    con <- textConnection("x")
    expect_match(conditionMessage(error_of(foreach(i = 1) %dopar% readLines(con))), "con is a connection")
    expect_message(expect_equal(foreach(i = 1, .export = ls(), .combine = c) %dopar% (i + get("hidden")), 2),
                   "con is not sent, .*: con is a connection")
    close(con)
    variable <- 1
    # an environment for each
    expect_equal(foreach(i = 1:3, .combine = c) %dopar% {
      variable <- variable + i
      variable
    }, 2:4)
  }))
})

test_that("numbers depend on the seed and the loop, and not on the workers", {
  draw <- function() foreach(i = 1:50, .combine = c) %dopar% rnorm(1)
  first <- with_loops(list(draw(), draw()))
  expect_false(any(first[[1]] %in% first[[2]]))
  expect_identical(with_loops(list(draw(), draw()), workers = 1), first)
  expect_false(identical(with_loops(draw(), seed = 2), first[[1]]))
  chunked <- function(size) {
    foreach(i = 1:50, .combine = c, .options.simferry = list(chunk_size = size)) %dopar% rnorm(1)
  }
  expect_identical(with_loops(list(chunked(1), chunked(7))), first)
  drawn <- function() {
    set.seed(3)
    one <- draw()
    list(one, draw())
  }
  with_loops(seed = NULL, {
    both <- drawn()
    expect_identical(drawn(), both)
    expect_false(any(both[[1]] %in% both[[2]]))
  })
})

test_that("a loop is a run of its store", {
  store <- tempfile("store-")
  with_loops(store = store, {
    foreach(i = 1:4) %dopar% i
    expect_equal(nrow(sim_list(store)), 0)   # without a name it leaves nothing
    foreach(i = 1:4, .errorhandling = "remove",
            .options.simferry = list(name = "my loop")) %dopar% if (i == 3) stop("three")
      else i
    runs <- sim_list(store)
    expect_match(runs$run, "^loop-my-loop-")
    expect_equal(runs[c("total", "failed", "seed")], data.frame(total = 4L, failed = 1L, seed = 1L), ignore_attr = TRUE)
    expect_equal(sim_errors(runs$folder)[c("loop", "replication", "message")],
                 data.frame(loop = "my loop", replication = 3L, message = "three"), ignore_attr = TRUE)
    replayed <- capture.output(suppressMessages(sim_replay(runs$folder, 1, 4)))
    expect_match(replayed, "4", all = FALSE)
  })
})

test_that("a worker waits for the next loop, which sees what the session has changed", {
  store <- tempfile("store-")
  old <- options(contrasts = c("contr.treatment", "contr.poly"))
  on.exit({
    options(old)
    Sys.unsetenv("LOOPS_AHEAD")
  })
  with_loops(store = store, {
    waited <- function(name) {
      job <- Sys.glob(file.path(store, paste0("loop-", name, "-*"), "jobs", "*", "job.json"))
      grepl("\"mark\"", paste(readLines(job, warn = FALSE), collapse = ""))
    }
    loop <- function(name) {
      foreach(i = 1, .combine = c, .options.simferry = list(name = name)) %dopar% {
        there <- file.exists(file.path(tempdir(), "left"))
        file.create(file.path(tempdir(), "left"))
        c(Sys.getenv("LOOPS_AHEAD"), getOption("contrasts")[[1]], there)
      }
    }
    expect_equal(loop("one"), c("", "contr.treatment", "FALSE"))
    options(contrasts = c("contr.sum", "contr.poly"))
    expect_equal(loop("two"), c("", "contr.sum", "FALSE"))
    expect_true(waited("two"))
    Sys.setenv(LOOPS_AHEAD = "set")
    expect_equal(loop("three"), c("set", "contr.sum", "FALSE"))
    expect_false(waited("three"))
  })
})

test_that("a loop with a name goes on where it stopped", {
  folder <- tempfile("seen-")
  dir.create(folder)
  loop <- function(n = 6, name = "again") foreach(i = seq_len(n), .combine = c,
                                                  .options.simferry = list(name = name, chunk_size = 1)) %dopar% {
    cat("x", file = file.path(folder, i), append = TRUE)
    if (i == 4 && !file.exists(file.path(folder, "mended"))) stop("not yet")
    rnorm(1)
  }
  times <- function() file.size(file.path(folder, 1:6))
  for (seed in list(1, NULL)) {
    unlink(list.files(folder, full.names = TRUE))
    with_loops(seed = seed, {
      expect_error(loop(), "task 4 failed")
      once <- which(times() == 1)
      file.create(file.path(folder, "mended"))
      out <- loop()
      expect_length(unique(out), 6)
      expect_equal(times()[1:3], c(1, 1, 1))
      again <- loop()
      if (is.null(seed)) expect_false(any(again %in% out)) else expect_identical(again, out)
    })
  }
})

test_that("an interrupted loop says what is kept", {
  skip_on_os("windows")
  folder <- tempfile()
  dir.create(folder)
  loop <- c("r <- foreach(i = 1:60, .combine = c, .options.simferry = list(name = 'long')) %dopar% {",
            "  Sys.sleep(if (file.exists('fast')) 0 else 0.1)",
            "  cat('x', file = paste0('seen-', i), append = TRUE)",
            "  i",
            "}")
  needs_python()
  script <- tempfile(fileext = ".R")
  writeLines(c(sprintf(".libPaths(%s)", paste(deparse(.libPaths()), collapse = "")),
               sprintf("setwd(%s)", deparse(folder)), "library(simferry); library(foreach)",
    sprintf("setwd(%s)", deparse(folder)), "registerDoSimferry(2, store = 'store')",
      sprintf("loop <- quote(%s)", paste(loop, collapse = "\n")),
    "cat(Sys.getpid(), file = 'pid')", "e <- tryCatch(eval(loop), error = identity)", "file.create('fast')",
    "writeLines(c(class(e)[1], conditionMessage(e), length(list.files(pattern = 'seen')), eval(loop)), 'told')"),
      script)
  writeLines(sub("paste0('seen-', i)", sprintf("paste0('%s/seen-', i)", folder),
                 gsub("'fast'", sprintf("'%s/fast'", folder), readLines(script), fixed = TRUE), fixed = TRUE), script)
  system2(file.path(R.home("bin"), "Rscript"), script, wait = FALSE, stdout = FALSE, stderr = FALSE)
  wait <- function(until) for (i in 1:300) if (until()) break else Sys.sleep(0.1)
  wait(function() length(list.files(folder, "seen")) > 12)
  tools::pskill(as.integer(readLines(file.path(folder, "pid"), warn = FALSE)), tools::SIGINT)
  wait(function() file.exists(file.path(folder, "told")))
  Sys.sleep(0.2)
  told <- readLines(file.path(folder, "told"))
  expect_equal(told[1], "simferry_error_interrupted")
  expect_match(told[2], "^stopped; [0-9]+ of 60 iterations are kept in run loop-long")
  expect_match(told[3], "goes on where it stopped")
  expect_equal(tail(told, 60), as.character(1:60))
  seen <- file.size(list.files(folder, "seen", full.names = TRUE))
  expect_length(seen, 60)
  expect_lt(sum(seen), 60 + 5)
})

test_that("many iterations need little memory and time", {
  with_loops({
    began <- proc.time()[[3]]
    out <- foreach(i = 1:20000, .combine = c) %dopar% i
    expect_identical(out, 1:20000)
    expect_lt(proc.time()[[3]] - began, 20)
  })
})

test_that("what can't be is one clear error", {
  needs_python()
  skip_if_not_installed("foreach")
  expect_equal(error_of(registerDoSimferry(seed = -1))$code, "usage")
  expect_equal(error_of(registerDoSimferry(workers = 0))$code, "usage")
  expect_match(conditionMessage(error_of(registerDoSimferry(backend = "locl"))), "local")
  with_loops({
    options <- function(...) error_of(foreach(i = 1, .options.simferry = list(...)) %dopar% i)
    expect_match(conditionMessage(options(chunks = 3)), "no option chunks")
    expect_match(conditionMessage(options(chunk_size = 0)), "chunk_size is 0")
    expect_match(conditionMessage(options(name = 3)), "name is not a text")
    expect_equal(options(backend = "nowhere")$code, "usage")
  })
})

test_that("a loop with a name is another one when a file that it sources has changed", {
  file <- normalizePath(tempfile(fileext = ".R"), mustWork = FALSE)
  loop <- bquote(foreach(i = 1:2, .combine = c,
                         .options.simferry = list(name = "own")) %dopar% { source(.(file), local = TRUE)
                         found })
  store <- tempfile()
  with_loops(store = store, for (value in c(1, 1, 2)) {
    writeLines(paste("found <-", value), file)
    expect_equal(eval(loop), rep(value, 2))
  })
  expect_equal(nrow(sim_list(store)), 2)
})

test_that("tasks of iterations draw from streams of their own, and their set.seed() gives plain R's numbers", {
  skip_if_not_installed("doParallel")
  store <- tempfile("store-")
  body <- quote(foreach(i = 1:4, .combine = rbind, .options.simferry = list(name = "tasks")) %dopar% {
    doParallel::registerDoParallel(cores = 2)
    tasks <- function() {
      unlist(c(parallel::mclapply(1:2, function(j) rnorm(1), mc.cores = 2), foreach(j = 1:2) %dopar% rnorm(1)))
    }
    x <- c(rnorm(1), tasks(), tasks(), rnorm(1))
    set.seed(101)
    c(x, rnorm(1))
  })
  loop <- function(workers, store = tempfile("store-"))
    at_console(list(foreach = foreach, `%dopar%` = `%dopar%`),
               with_loops(eval(body, globalenv()), workers = workers, store = store))
  told <- capture_messages(two <- loop(2, store))
  expect_match(told, "iterations [1-3] and [2-4] of run loop-tasks-.* set the same seed, 101", all = FALSE)
  expect_equal(anyDuplicated(c(two[, -11])), 0)
  expect_equal(unname(two[, 11]), rep(-0.32603649051538558, 4))   # as set.seed(101) gives it to rnorm(1)
  for (workers in c(1, 3)) expect_identical(suppressMessages(loop(workers)), two)
  replayed <- suppressMessages(sim_replay(sim_list(store)$folder, 1, 3))
  expect_equal(suppressWarnings(as.numeric(unlist(replayed)))[1:11], unname(two[3, ]), tolerance = 1e-13)
})

test_that("`...` of the function around a loop reaches the functions that its body calls", {
  expect_as_sequential({
    f <- function(...) {
      g <- function(i) list(sum(i, ...), ..1, ...length(), ...elt(2))
      foreach(i = 1:3) %dopar% g(i)
    }
    f(5, 6)
  })
  expect_as_sequential({   # each function has that of the function in which it was made
    outer <- function(...) {
      h <- function(i) sum(i, ...)
      inner <- function(j, ...) foreach(i = 1:2) %dopar% c(h(i), sum(...))
      inner(1, 100)
    }
    outer(1, 2)
  })
  expect_as_sequential({
    f <- function(m, ...) {
      g <- function(i) m[i, ...]
      foreach(i = 1:2) %dopar% g(i)
    }
    list(f(matrix(1:6, 2), ), f(1:3))
  })
  expect_as_sequential({   # nargs() and missing() of a local function
    f <- function(...) {
      g <- function(a, ...) c(missing(a), missing(...), nargs())
      foreach(i = 1) %dopar% g(, ...)
    }
    list(f(5, 6), f())
  })
  expect_as_sequential({   # an expression that can't be evaluated alone; a call that is data
    f <- function(d, ...) {
      s <- function(i) list(subset(d, ...), i)
      foreach(i = 1:2) %dopar% s(i)
    }
    f(data.frame(a = 1:3), a > 1)
  })
  expect_as_sequential({
    f <- function(...) {
      g <- function(i) list(...)
      foreach(i = 1:2) %dopar% g(i)
    }
    f(quote(a + b), as.name("z"))
  })
  at_console(list(k = 3), expect_as_sequential({
    f <- function(...) {
      g <- function(i) sapply(i, ...)
      foreach(i = 1:2) %dopar% g(i)
    }
    f(eval(quote(function(v) v * k), globalenv()))
  }))
})

test_that("plyr's functions give in parallel what they give in turn", {
  needs_python()
  skip_if_not_installed("plyr")
  d <- data.frame(g = c(1, 1, 2), v = 1:3)
  for (parallel in c(FALSE, TRUE)) {
    found <- at_console(list(kk = 100), with_loops(list(
      plyr::llply(1:3, function(v, p) v^p, p = 2, .parallel = parallel),
      plyr::ddply(d, "g", plyr::summarise, m = mean(v) + kk, .parallel = parallel),
      plyr::ddply(d, "g", transform, share = v / sum(v), .parallel = parallel)
    )))
    if (parallel) expect_identical(found, in_turn) else in_turn <- found
  }
})

test_that("a helper keeps its own variables where the function around the loop has others of these names", {
  at_console(list(x = 1, helper = typed("function() x")), expect_as_sequential({
    f <- function(x) foreach(i = 1) %dopar% c(helper(), x)
    f(10)
  }))
  expect_as_sequential({
    outer <- function() {
      x <- 1
      h <- function() x
      inner <- function(x) foreach(i = 1) %dopar% c(h(), x)
      inner(10)
    }
    outer()
  })
})
