found_in <- function(f) collect(f, "f")

test_that("globals, and those of the functions among them, are found", {
  at_console(list(k = 3, helper = typed("function(x) x * k + other(x)"), other = typed("function(y) y")), {
    found <- found_in(typed("function(n) { k2 <- 1; helper(n) + k2 }"))
    expect_setequal(names(found$globals), c("helper", "k", "other"))
    expect_identical(found$globals$k, 3)
  })
})

test_that("a variable that is changed in the function is found, one that is only its own is not", {
  at_console(list(x = 1, z = 2), {
    expect_equal(names(found_in(typed("function(n) { x <- x + 1; x }"))$globals), "x")
    expect_length(found_in(typed("function(n) { z <- n; z }"))$globals, 0)
  })
})

test_that("a variable that is assigned on one way only is found", {
  at_console(list(x = 1), {
    sent <- function(code) names(found_in(typed(paste("function(n, ...)", code)))$globals)
    for (code in c("{ if (n) x <- 1; x }", "{ if (n) 1 else x <- 1; x }", "{ n && (x <- 1); x }",
                   "{ switch(n, a = , b = x <- 1); x }",
                   "{ f <- function() x <- 1; x }", "{ local({ x <- 1 }); x }", "{ x[n, ] <- 1; n }"))
      expect_equal(sent(code), "x", info = code)
    for (code in c("{ if (n) x <- 1 else x <- 2; x }", "{ for (i in n) x <- i; x }", "{ for (x in n) n; x }",
                   "{ if (x <- n) 1; x }", "{ local({ x <- n; x }) }",
                   "{ f <- function(x) x; f(n) }", "{ x <- 1; if (n) x <- 2; x }"))
      expect_null(sent(code), info = code)
  })
})

test_that("of the environment in which a function was made only what it uses is sent", {
  make <- typed("function(mu) {
    junk <- textConnection('a')
    on.exit(close(junk))
    inner <- function(z) z + mu
    function(n) inner(n)
  }")
  sent <- found_in(make(5))$`function`
  expect_setequal(ls(environment(sent)), c("inner", "mu"))
  expect_identical(environment(environment(sent)$inner), environment(sent))
  expect_identical(parent.env(environment(sent)), globalenv())
  expect_equal(sent(1), 6)
})

test_that("functions in lists keep their globals, and methods are sent with their generics", {
  at_console(list(k = 3, methods = list(a = typed("function(x) x * k"))), {
    expect_setequal(names(found_in(typed("function(n) methods$a(n)"))$globals), c("methods", "k"))
  })
  carries <- list(typed("function(x) x * k"), list2env(list(f = typed("function(x) x * k"))))
  for (g in carries) at_console(list(k = 3, g = g), {   # an environment, such as an object of R6, stays as it is
    expect_setequal(names(found_in(typed("function(n) g"))$globals), c("g", "k"))
    expect_named(collect(typed("function(n, g) g"), "f", carried = list(g = g))$globals, "k")
  })
  at_console(list(summary.mine = typed("function(object, ...) 'mine'")), {
    expect_equal(names(found_in(typed("function(n) summary(structure(n, class = 'mine'))"))$globals), "summary.mine")
  })
})

test_that("packages are those that are attached and used", {
  expect_length(found_in(typed("function(n) mean(rnorm(n))"))$packages, 0)
  expect_equal(found_in(typed("function(n) expect_true(n)"))$packages, "testthat")
})

test_that("what can't be sent is named", {
  con <- textConnection("a")
  on.exit(close(con))
  expect_error(check_sendable(con, "con", 500), "con is a connection", class = "simferry_error_simulation")
  expect_error(check_sendable(list(a = list(b = con)), "x", 500), "x$a$b is a connection", fixed = TRUE)
  e <- new.env()
  e$con <- con
  e$self <- e
  expect_error(check_sendable(e, "e", 500), "e$con is a connection", fixed = TRUE)
  expect_error(check_sendable(list(function() con), "x", 500), "is a connection", fixed = TRUE)
  expect_silent(check_sendable(list(1, "a", quote(x + y), y ~ x), "x", 500))
})

test_that("an object that is too large is named, with its size", {
  old <- options(simferry.max_mb = 1e5)
  on.exit(options(old))
  expect_equal(max_mb(), 2000)   # more can't cross the bridge
  expect_error(check_sendable(1:5e8, "big", 500), "big is 2,000 MB, more than the 500 MB",
               class = "simferry_error_simulation")
  expect_error(check_sendable(list(a = 1:5e8), "big", 500), "big is 2,000 MB")
})

test_that("a fingerprint does not change when the function is compiled or has its source", {
  needs_python()
  of <- function(f) write_function(f, "f")$fingerprint
  f <- typed("function(n) { s <- 0; for (i in 1:10) s <- s + n; s }")
  g <- eval(parse(text = "function(n) {\n  s <- 0 # a comment\n  for (i in 1:10) s <- s + n; s }", keep.source = TRUE),
            globalenv())
  before <- of(f)
  for (i in 1:10) f(1)
  expect_equal(of(f), before)
  expect_equal(of(g), before)
  expect_false(of(typed("function(n) { s <- 0; for (i in 1:11) s <- s + n; s }")) == before)
})

test_that("a fingerprint changes with globals, enclosed variables and constants", {
  needs_python()
  f <- typed("function(n) n * k")
  of <- function(k) at_console(list(k = k), write_function(f, "f")$fingerprint)
  expect_equal(of(1), of(1))
  expect_false(of(1) == of(2))
  expect_false(of(1) == of(1L))
  make <- typed("function(mu) function(n) n + mu")
  enclosed <- function(mu) write_function(make(mu), "f")$fingerprint
  expect_equal(enclosed(1), enclosed(1))
  expect_false(enclosed(1) == enclosed(2))
  with <- function(...) write_function(f, "f", list(...))$fingerprint
  expect_false(with(a = 1) == with(a = 2))
})

test_that("constants need names, packages have to be there", {
  expect_error(write_function(draws, "f", constants = list(1)), "names", class = "simferry_error_usage")
  expect_error(write_function(draws, "f", packages = "no.such.package"), "not installed",
               class = "simferry_error_simulation")
})

test_that("what is called by a name is sent: a text in the code, or one of `globals`", {
  at_console(list(half = typed("function(n) n / two"), two = 2), {
    by <- typed("function(n, method) do.call(method, list(n))")
    expect_null(names(found_in(by)$globals))
    expect_setequal(names(collect(by, "by", named = "half")$globals), c("half", "two"))
    expect_setequal(names(found_in(typed("function(n) do.call('half', list(n))"))$globals), c("half", "two"))
    expect_null(names(found_in(typed("function(n) paste('half', n)"))$globals))
    needs_python()
    run <- quiet_run(by, sim_grid(n = c(1, 5), method = "half"), replications = 1, seed = 1, globals = "half")
    expect_equal(sim_results(run)$value, c(0.5, 2.5))
    wrong <- error_of(sim_plan(by, sim_grid(n = 1, method = "half"), 1, globals = "hafl"))
    expect_match(conditionMessage(wrong), "globals: there is no object hafl")
  })
})

test_that("a function keeps the `...` of the function in which it was made", {
  make <- typed("function(...) function(n) sum(n, ...)")
  sent <- found_in(make(10, 20))$`function`
  expect_equal(sent(1), 31)
  needs_python()
  of <- function(...) write_function(make(...), "f")$fingerprint
  expect_equal(of(1), of(1))
  expect_false(of(1) == of(2))
})

test_that("compiled functions of the session are refused by name", {
  skip_if_not_installed("Rcpp")
  Rcpp::cppFunction("double twice(double x) { return 2 * x; }", env = globalenv())
  on.exit(rm("twice", envir = globalenv()))
  wrong <- error_of(found_in(typed("function(n) twice(n)")))
  expect_s3_class(wrong, "simferry_error_simulation")
  expect_match(conditionMessage(wrong), "twice is compiled code .*Rcpp::sourceCpp")
  expect_match(conditionMessage(wrong), "include = ", fixed = TRUE)
  with_loops(expect_match(conditionMessage(error_of(foreach::`%dopar%`(foreach::foreach(i = 1), twice(i)))),
                          "twice is compiled code"))
})

test_that("options that change what models compute are sent, and are a part of the fingerprint where they are set", {
  of <- function() found_in(typed("function(n) n"))$options
  expect_length(of(), 0)
  needs_python()
  before <- options(contrasts = c("contr.sum", "contr.poly"))
  on.exit(options(before))
  expect_named(of(), "contrasts")
  f <- typed("function(n) names(coef(lm(breaks ~ tension, warpbreaks)))[n]")
  first <- quiet_run(f, sim_grid(n = 2), 1, store = store <- tempfile("store-"))
  expect_equal(sim_results(first)$value, "tension1")
  expect_equal(with_loops(foreach::`%dopar%`(foreach::foreach(n = 2), f(n))), list("tension1"))
  options(before)
  expect_equal(sim_results(quiet_run(f, sim_grid(n = 2), 1, store = store))$value, "tensionM")   # it is another one
})
