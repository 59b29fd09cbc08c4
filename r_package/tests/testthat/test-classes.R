# Classes of the global environment, as at the console; gone afterwards.
with_classes <- function(code, run) {
  before <- ls(globalenv(), all.names = TRUE)
  on.exit({
    made <- setdiff(ls(globalenv(), all.names = TRUE), before)
    for (name in grep("^[.]__C__", made, value = TRUE)) suppressWarnings(methods::removeClass(substring(name, 7),
                                                                                             where = globalenv()))
    rm(list = intersect(made, ls(globalenv(), all.names = TRUE)), envir = globalenv())
  })
  eval(code, globalenv())
  force(run)
}

value_of <- function(f) sim_results(quiet_run(f, sim_grid(n = 2), replications = 1, seed = 1))[-(1:3)]

shapes <- quote({
  setClass("Shape", representation("VIRTUAL"))
  setClass("Circle", contains = "Shape", representation(r = "numeric"))
  setValidity("Circle", function(object) if (object@r < limit) "negative" else TRUE)
  limit <- 0
  pie <- 3
  setGeneric("area", function(s, ...) standardGeneric("area"), where = globalenv())
  setMethod("area", "Circle", function(s, ...) pie * s@r^2)
  setMethod("show", "Circle", function(object) cat("a circle\n"))
  setMethod("+", signature("Circle", "Circle"), function(e1, e2) new("Circle", r = e1@r + e2@r))
  setMethod("length", "Circle", function(x) 77L)
  setMethod("summary", "Circle", function(object, ...) 5)
  setClassUnion("NumberOrText", c("numeric", "character"))
  setClass("Holder", representation(v = "NumberOrText"))
  Disc <- setClass("Disc", contains = "Circle") # nolint: object_name_linter.
  round_one <- new("Circle", r = 5)
})

test_that("classes, generics, methods and validity of the session work", {
  needs_python()
  with_classes(shapes, {
    all_of_it <- typed("function(n) {
      one <- new('Circle', r = n)
      c(area = area(one + one), length = length(one), summary = summary(one), holder = new('Holder', v = 3)@v,
        disc = area(Disc(r = 1)), shown = identical(utils::capture.output(print(one)), 'a circle'),
        refused = inherits(try(new('Circle', r = -1), silent = TRUE), 'try-error'))
    }")
    expect_equal(unlist(value_of(all_of_it)),
                 c(area = 48, length = 77, summary = 5, holder = 3, disc = 3, shown = 1, refused = 1))
    expect_equal(value_of(typed("function(n) n + length(round_one)"))$value, 79)   # an object that is data
    expect_equal(unlist(with_loops(foreach::`%dopar%`(foreach::foreach(i = 1:2), area(new("Circle", r = i))))),
                 c(3, 12))
  })
})

test_that("methods are a part of the fingerprint, and classes of the session that are not used are none", {
  needs_python()
  with_classes(shapes, {
    of <- function(text) write_function(typed(text), "f")$fingerprint
    uses <- "function(n) area(new('Circle', r = n))"
    before <- of(uses)
    expect_equal(of(uses), before)
    plain <- of("function(n) n + 1")
    eval(quote(setMethod("area", "Circle", function(s, ...) 4 * s@r^2)), globalenv())
    expect_false(of(uses) == before)
    expect_equal(of("function(n) n + 1"), plain)
    expect_named(collect(typed("function(n) round_one@r"), "f")$globals, "round_one")
  })
})

test_that("reference classes work, and an object that replications would share is refused by name", {
  needs_python()
  with_classes(quote({
    # nolint start: object_name_linter.
    rate <- 3
    Account <- setRefClass("Account", fields = list(balance = "numeric"), methods = list(
      deposit = function(v) balance <<- balance + v * rate))
    Saving <- setRefClass("Saving", contains = "Account", methods = list(deposit = function(v) {
      callSuper(v)
      balance <<- balance + 1
    }))
    # nolint end
    mine <- Account$new(balance = 1)
  }), {
    expect_equal(unname(unlist(value_of(typed("function(n) {
      a <- Account$new(balance = n)
      a$deposit(2)
      b <- Saving$new(balance = 1)
      b$deposit(1)
      c(a$balance, b$balance, a$copy()$balance)
    }")))), c(8, 5, 8))
    expect_match(conditionMessage(error_of(quiet_run(typed("function(n) mine$deposit(n)"), sim_grid(n = 1), 1))),
                 "mine is a reference object")
  })
})

test_that("packages of the classes of what is sent are loaded, so that its methods are those of this session", {
  expect_identical(packages_of_classes(list(mtcars, factor(1), Sys.time(), lm(mpg ~ wt, mtcars), 1:3)), character())
  needs_python()
  skip_if_not_installed("tibble")
  rows <- tibble::tibble(a = 1:3, b = 4:6)
  expect_true("tibble" %in% packages_of_classes(list(list(rows))))
  at_console(list(rows = rows), {
    expect_equal(value_of(typed("function(n) ncol(rows[, 1])"))$value, 1)   # NULL of a data frame
    expect_identical(with_loops(foreach::`%dopar%`(foreach::foreach(part = list(rows)), class(part[, 1]))),
                     list(class(rows)))
  })
  skip_if_not_installed("lme4")
  at_console(list(fit = lme4::lmer(Reaction ~ Days + (1 | Subject), lme4::sleepstudy)), {
    found <- value_of(typed("function(n) lme4::fixef(lme4::refit(fit, simulate(fit, seed = n)[[1]]))"))
    expect_equal(unlist(found), lme4::fixef(lme4::refit(fit, stats::simulate(fit, seed = 2)[[1]])))
  })
})

test_that("methods that no code names are sent, for objects and for classes that the code gives", {
  needs_python()
  methods <- quote({
    Ops.money <- function(e1, e2) get(.Generic)(unclass(e1), unclass(e2)) + extra
    as.character.money <- function(x, ...) "money!"
    extra <- 1000
    coins <- structure(3, class = "money")
  })
  with_classes(methods, {
    of_object <- value_of(eval(quote(function(n) list(sum = coins + coins, text = paste(coins))), globalenv()))
    made <- value_of(eval(quote(function(n) c(sum = structure(n, class = "money") + 1)), globalenv()))
    expect_equal(as.list(of_object), list(sum = 1006, text = "money!"))
    expect_equal(made$sum, 1003)
  })
})
