# Which packages the code of a simulation asks for: those that it can't run without, and those that it may not come to.
#
# What runs in any case is the top level, the function that replications call, and the functions that those call by
# name. What stands below an `if`, in a branch of `switch`, or in another function may never run.

# Functions that call the function they are given.
is_mapper <- function(f) {
  grepl("apply|^(future_)?(i?map|i?walk|pmap)|^(Map|Reduce|Filter|do[.]call|cluster)", f, ignore.case = TRUE)
}
# Around the question whether a package is there.
askers <- c("!", "(", "&&", "||", "nzchar", "suppressWarnings", "suppressMessages", "suppressPackageStartupMessages")
assigners <- list(quote(`<-`), quote(`=`), quote(`<<-`))

# code: a parsed script. entry: the function that replications call; "" of a whole script. read: gives the parsed code
# of a file that is sourced, or NULL. Returns lists of names: needed, possible.
asked_for <- function(code, entry = "", read = function(file) NULL) {
  needed <- possible <- polite <- walked <- character()
  functions <- texts <- list()   # by the names that they are assigned to
  elsewhere <- FALSE             # whether the code adds places where packages are found: what follows may be there
  ask <- function(package, sure) {
    if (elsewhere) return()
    if (sure) needed <<- union(needed, package) else possible <<- union(possible, package)
  }
  words <- function(x) if (is.name(x) || is.character(x)) as.character(x)
  strings <- function(x) {   # c("a", "b"), or the name of such a vector
    if (is.name(x)) texts[[as.character(x)]]
    else if (is.call(x) && identical(x[[1L]], quote(c))) unlist(Filter(is.character, as.list(x)[-1L]))
    else if (is.character(x)) x
  }
  define <- function(x) {
    if (is.call(x) && length(x) == 3L && list(x[[1L]]) %in% assigners) {
      name <- words(x[[2L]])[1L]
      value <- x[[3L]]
      if (!is.null(name) && is_function_literal(value)) functions[[name]] <<- value[[3L]]
      if (!is.null(name) && is.character(strings(value))) texts[[name]] <<- strings(value)
    }
    each(x, define)
  }
  call_named <- function(name) if (!is.null(name) && !is.null(functions[[name]]) && !name %in% walked) {
    walked <<- c(walked, name)
    walk(functions[[name]], TRUE)
  }
  loads <- function(x, f, sure) {   # library(p), require("p"), p::f
    if (!is.null(x$lib.loc)) return()
    if (is.null(x$character.only)) return(ask(words(x[[2L]])[1L], sure))
    if (is.name(x[[2L]])) for (package in texts[[as.character(x[[2L]])]]) ask(package, sure)
  }
  condition <- function(x, sure) {   # a package that is asked for politely may be missing
    f <- if (is.call(x)) c(words(x[[1L]]), "")[1L] else ""
    if (f %in% c("require", "requireNamespace", "isNamespaceLoaded", "system.file"))
      polite <<- c(polite, unlist(Filter(is.character, as.list(x))), if (length(x) > 1L) words(x[[2L]]))
    else if (f %in% askers) each(x, condition, sure)
    else walk(x, sure)
  }
  walk <- function(x, sure) {
    if (!is.call(x)) return(each(x, walk, sure))
    f <- words(x[[1L]])
    if (is.null(f)) f <- if (is.call(x[[1L]]) && length(x[[1L]]) == 3L) words(x[[1L]][[3L]]) else ""
    f <- c(f, "")[1L]
    n <- length(x)
    if (f %in% c("library", "require", "::", ":::") && n > 1L && !is.null(words(x[[2L]]))) return(loads(x, f, sure))
    if (f %in% c("quote", "try", "tryCatch")) return()
    if (f == "suppressWarnings" && n > 1L) return(condition(x[[2L]], sure))
    if (f == "if") {
      condition(x[[2L]], sure)
      return(each(x[-(1:2)], walk, FALSE))
    }
    if (f %in% c("&&", "||", "switch")) {
      walk(x[[2L]], sure)
      return(each(x[-(1:2)], walk, FALSE))
    }
    if (f == "function") return(each(x[-1L], walk, FALSE))
    if (f == "source" && n > 1L && is.character(x[[2L]]) && !is.null(file <- read(x[[2L]]))) {
      define(file)
      walk(file, sure)
    }
    if (f == "foreach") for (package in strings(x$.packages)) ask(package, sure)
    if (sure) call_named(f)
    mapper <- is_mapper(f)
    for (part in as.list(x)[-1L]) if (!missing(part)) {
      if (mapper && is_function_literal(part)) walk(part[[3L]], sure)
      else if (mapper && is.name(part) && as.character(part) %in% c("library", "require"))
        for (package in unlist(lapply(as.list(x)[-1L], strings))) ask(package, sure && part == "library")
      else {
        if (mapper && sure) call_named(words(part)[1L])
        walk(part, sure)
      }
    }
    if (is.call(x[[1L]])) walk(x[[1L]], sure)
    if (f %in% c(".libPaths", "load_all") && n > 1L) elsewhere <<- TRUE
  }
  define(code)
  walk(code, TRUE)
  call_named(entry)
  list(needed = needed, possible = setdiff(possible, c(needed, polite)))
}

is_function_literal <- function(x) is.call(x) && identical(x[[1L]], quote(`function`))

each <- function(x, f, ...) {
  if (is.call(x) || is.expression(x) || is.pairlist(x)) for (part in as.list(x)) if (!missing(part)) f(part, ...)
}

is_absent <- function(packages) {
  vapply(packages, function(package) length(find.package(package, quiet = TRUE)) == 0L, NA)
}
