# R functions on their way to the workers: with the objects they refer to, and the packages those come from.
#
# What a function finds in the global environment is put into the worker's global environment. What it finds in the
# environment in which it was made (another function's, say) goes into a copy of that which holds nothing else, with the
# `...` of that function where it is used. What it finds in an attached package is found there again: the package is
# attached. classes.R has what is sent of S4.

# A file for the worker, list(function, globals, packages, constants), and what Python has to know of it.
# named: objects that are sent too, as f finds them, or the caller of sim_run().
# by_name: the objects that parameters of the design stand for, by parameter and name.
write_function <- function(f, name, constants = list(), packages = character(), named = character(),
                           caller = globalenv(), by_name = list()) {
  check_constants(constants)
  if (is.primitive(f)) f <- eval(call("function", as.pairlist(formals(args(f))), primitive_call(f)), globalenv())
  found <- collect(f, name, named = named, caller = caller, carried = constants, by_name = by_name)
  packages <- unique(c(found$packages, packages))
  missing <- packages[!nzchar(vapply(packages, function(p) system.file(package = p), ""))]
  if (length(missing))
    raise("simulation",
          paste0("packages: ", paste(missing, collapse = ", "), if (length(missing) > 1) " are" else " is",
                 " not installed"),
          paste0("install.packages(c(", paste0("\"", missing, "\"", collapse = ", "), "))"))
  for (object in c(found$data, list_of("constant ", constants))) check_sendable(object$value, object$label, max_mb())
  file <- tempfile("simferry-", fileext = ".rds")
  con <- gzfile(file, "wb", compression = 1L)
  tryCatch(
    saveRDS(list(`function` = found[["function"]], globals = found$globals, packages = packages, constants = constants,
                 options = found$options,
                 by_name = found$by_name,
                 loaded = packages_of_classes(list(lapply(found$data, `[[`, "value"), constants))),
            con, version = 2L),
    finally = close(con)
  )
  list(name = name, file = file, fingerprint = fingerprint(found, packages, constants),
       constants = as.character(names(constants)),
       packages = packages)
}

primitive_call <- function(f) {
  taken <- names(formals(args(f)))
  as.call(c(f, lapply(taken, as.name)))
}

list_of <- function(before, values) {
  Map(function(name, value) list(label = paste0(before, name), value = value), as.character(names(values)), values)
}

check_constants <- function(constants) {
  if (!is.list(constants) || length(constants) && (is.null(names(constants)) || !all(nzchar(names(constants)))))
    raise("usage", "constants is not a list whose elements all have names", "constants = list(data = d, weights = w)")
}

# The function as it is to be sent, its globals, its packages, and `data`: every object that is not a function, with a
# label. variables: what f refers to. named: what is sent besides, never: what is not. carried: values that are sent as
# they are; what functions among them use is sent too.
collect <- function(f, name, variables = variables_of(f), named = character(), never = character(),
                    caller = globalenv(), carried = list(), by_name = list()) {
  globals <- list()
  packages <- used <- texts <- character()   # texts: in the code, which may be names of classes
  data <- list()
  entered <- list()
  copies <- list()   # pairs of environments: the one in which a function was made, and its copy
  methods <- ls(globalenv())

  copy_of <- function(environment) {
    if (is_top(environment)) return(environment)
    for (pair in copies) if (identical(pair[[1]], environment)) return(pair[[2]])
    copy <- new.env(parent = emptyenv())
    copies[[length(copies) + 1L]] <<- list(environment, copy)
    parent.env(copy) <- copy_of(parent.env(environment))
    copy
  }
  add <- function(variable, from) {
    where <- where_is(variable, from)
    if (is.null(where) || variable %in% never) return()
    used <<- c(used, variable)
    if (identical(where, globalenv()) || is_attached_data(where)) {
      if (variable %in% names(globals)) return()
      globals[variable] <<- list(NULL)   # first, since functions call each other
      globals[variable] <<- list(adapted(get(variable, where), variable))
    } else if (is_top(where)) {
      package <- package_of(where)
      if (length(package)) packages <<- unique(c(package, packages))
    } else {
      copy <- copy_of(where)
      if (exists(variable, copy, inherits = FALSE)) return()
      assign(variable, NULL, copy)
      value <- tryCatch(get(variable, where), error = function(e) where)
      if (is_not_given(variable, where)) assign(variable, quote(expr = ), copy)
      else if (identical(value, where)) rm(list = variable, envir = copy)
      else assign(variable, adapted(value, variable), copy)
    }
  }
  # They stay as they are, so that substitute() finds the expressions. Of functions among them the globals are sent.
  add_dots <- function(from) {
    where <- where_is("...", from)
    if (is.null(where) || is_top(where) || exists("...", copy <- copy_of(where), inherits = FALSE)) return()
    dots <- elements_of_dots(where)
    assign("...", if (length(dots)) get("...", where) else quote(expr = ), copy)
    for (i in seq_along(dots)) {
      label <- if (nzchar(names(dots)[i])) names(dots)[i] else paste0("..", i)
      if ("value" %in% names(dots[[i]])) adapted(dots[[i]]$value, label)
      else if (is.call(dots[[i]]$code)) function_of(as.function(list(dots[[i]]$code), envir = globalenv()), label)
    }
  }
  adapted <- function(value, label) {
    if (is.function(value)) return(if (is.primitive(value)) value else function_of(value, label))
    if (is.list(value) && holds_functions(value)) return(change_elements(value, adapted, label = label))
    if (is.environment(value)) look_into(value, label)
    data[[length(data) + 1L]] <<- list(label = label, value = value)
    value
  }
  function_of <- function(g, label, variables = variables_of(g)) {
    made_in <- environment(g)
    if (isNamespace(made_in) || isS4(g)) return(g)
    if (holds_pointer(body(g))) refuse_compiled(label)
    copy <- as.function(c(formals(g), list(body(g))), envir = copy_of(made_in))
    attributes(copy) <- attributes(g)[setdiff(names(attributes(g)), "srcref")]
    for (variable in variables) {
      add(variable, made_in)
      # methods for its generics, typed in the global environment
      for (method in methods[startsWith(methods, paste0(variable, "."))])
        if (is.function(globalenv()[[method]])) add(method, globalenv())
    }
    for (variable in functions_by_name(g)) {
      where <- where_is(variable, made_in)
      if (!is.null(where) && is_of_session(where)) add(variable, made_in)
    }
    if (uses_dots(g)) add_dots(made_in)
    texts <<- c(texts, texts_of(body(g)))
    copy
  }
  # An environment stays as it is, such as an object of R6. Of functions in it the globals are sent.
  look_into <- function(e, label) {
    if (is_top(e) && !is.object(e) || any(vapply(entered, identical, NA, e))) return()
    entered[[length(entered) + 1L]] <<- e
    for (name in ls(e, all.names = TRUE)) if (!bindingIsActive(name, e)) look_at(e[[name]], paste0(label, "$", name))
  }
  look_at <- function(value, label) {
    if (is.environment(value)) look_into(value, label)
    else if (is.function(value) || is.list(value) && holds_functions(value)) adapted(value, label)
  }
  sent <- function_of(f, name, variables)
  for (label in names(carried)) look_at(carried[[label]], label)
  for (variable in named) {
    where <- Find(function(e) !is.null(where_is(variable, e)), list(environment(f), caller))
    if (is.null(where)) raise("usage", paste0("globals: there is no object ", variable))
    add(variable, where)
  }
  by_name <- Map(function(objects, parameter)
    stats::setNames(Map(function(x, n) if (is.null(x)) x else adapted(x, paste0(parameter, " ", n)), objects,
                        names(objects)), names(objects)), by_name, names(by_name))
  repeat {
    objects <- c(globals, carried, unlist(unname(by_name), recursive = FALSE), lapply(data, `[[`, "value"))
    names_of_classes <- unique(c(classes_of(objects)$classes, texts[nzchar(texts)]))
    more <- setdiff(methods_of_session(names_of_classes), c(names(globals), never))
    if (!length(more)) break
    for (method in more) add(method, globalenv())
  }
  classes <- classes_needed(c(list(f), objects), used)
  for (object in classes) {
    globals[object] <- list(globalenv()[[object]])
    for (g in functions_of_class(globals[[object]])) function_of(g, object)
  }
  list(`function` = sent, globals = globals,
       packages = setdiff(packages, c("base", "methods", "datasets", "utils", "grDevices", "graphics", "stats")),
       data = data, copies = lapply(copies, `[[`, 2L), options = options_of_models(), by_name = by_name)
}

# Options of this session that change what models compute, where they are not R's own.
options_of_models <- function() {
  plain <- list(contrasts = c(unordered = "contr.treatment", ordered = "contr.poly"), na.action = "na.omit",
                ts.eps = 1e-05)
  here <- sapply(names(plain), getOption, simplify = FALSE)
  here[!mapply(identical, here, plain)]
}

# Whether a variable is an argument that was not given, and has no default.
is_not_given <- function(variable, e) {
  value <- as.list(e, all.names = TRUE)[variable]
  identical(value[[1L]], quote(expr = ))
}

# Of the `...` that an environment has: list(value = ) of each, or list(code = ) where it can't be evaluated alone, such
# as a condition of subset().
elements_of_dots <- function(e) {
  codes <- as.list(eval(quote(substitute(alist(...))), e))[-1L]
  found <- lapply(seq_along(codes), function(i)
    tryCatch(list(value = eval(call("...elt", i), e)), error = function(failed) list(code = codes[[i]])))
  stats::setNames(found, if (is.null(names(codes))) character(length(codes)) else names(codes))
}

# Whether a function refers to the `...` of a function around it.
uses_dots <- function(f) {
  look <- function(e) {
    if (is.name(e)) return(grepl("^[.][.]([.]|[0-9]+)$", as.character(e)))
    if (is.pairlist(e)) return(any(vapply(as.list(e), look, NA)))
    if (!is.call(e)) return(FALSE)
    if (identical(e[[1L]], quote(`function`)) && "..." %in% names(e[[2L]])) return(FALSE)
    if (is.name(e[[1L]]) && as.character(e[[1L]]) %in% c("...length", "...elt", "...names")) return(TRUE)
    any(vapply(as.list(e), look, NA))
  }
  !"..." %in% names(formals(f)) && (look(body(f)) || look(formals(f)))
}

# Functions that are named by a text: do.call("fit", list(x)), sapply(x, "fit").
functions_by_name <- function(f) {
  found <- character()
  takers <- c("do.call", "match.fun", "get", "get0", "match.arg", "Map", "Reduce", "Filter", "lapply", "sapply",
              "vapply", "mapply", "apply", "tapply", "outer", "replicate", "aggregate", "by")
  walk <- function(e) {
    if (is.call(e) && is.name(e[[1L]]) && as.character(e[[1L]]) %in% takers)
      found <<- c(found, unlist(Filter(function(x) is.character(x) && length(x) == 1L, as.list(e)[-1L])))
    if (is.call(e)) for (part in as.list(e)) if (!missing(part)) walk(part)
  }
  walk(body(f))
  sort(unique(found[nzchar(found)]))
}

# The texts in an expression.
texts_of <- function(e) {
  if (is.character(e)) return(e)
  if (is.call(e)) unlist(lapply(as.list(e), function(part) if (!missing(part)) texts_of(part)))
}

# Functions of Rcpp::sourceCpp() and cppFunction() call an address in this process.
holds_pointer <- function(e) {
  typeof(e) == "externalptr" || inherits(e, "NativeSymbolInfo") ||
    is.call(e) && any(vapply(as.list(e), function(part) !missing(part) && holds_pointer(part), NA))
}

refuse_compiled <- function(label)
  refuse(label, "compiled code (of Rcpp::sourceCpp() or cppFunction()), which lives in this session only",
         paste("Put the simulation into a script that calls Rcpp::sourceCpp(\"code.cpp\"), and run it:",
               "sim_run(\"script.R\", function_name = \"simulate\", include = \"code.cpp\"). Or make a package of it."))

# A list of the same attributes, whose elements were given to a function.
change_elements <- function(x, change, ...) {
  changed <- lapply(unclass(x), change, ...)
  attributes(changed) <- attributes(x)
  changed
}

holds_functions <- function(x) {
  any(vapply(unclass(x), function(v) is.function(v) || is.list(v) && holds_functions(v), NA))
}

# In the order of evaluation: x <- x + 1 needs x, and x <- n does not, so that a global of a local variable's name stays
# here. What is assigned on one way only, as in { if (a) x <- 1; x }, is needed too.
variables_of <- function(f) {
  e <- environment(f)
  if (is.null(e)) e <- baseenv()
  find <- function(method) unique(globals::findGlobals(f, envir = e, method = method, dotdotdot = "ignore"))
  surely <- find("ordered")
  perhaps <- setdiff(find("liberal"), surely)
  sort(c(surely, Filter(function(variable) identical(first_use(body(f), variable), "read"), perhaps)))
}

# What comes first on some way through an expression: "read"; "set" where that comes first on every way; or neither, "".
first_use <- function(e, variable) {
  of <- function(e) first_use(e, variable)
  or <- function(first, second) if (nzchar(first)) first else second
  is_it <- function(name) is.name(name) && identical(as.character(name), variable)
  set <- function(name) if (is_it(name)) "set" else ""
  perhaps <- function(ways) if ("read" %in% ways) "read" else ""
  given <- function(e) as.list(e)[nzchar(as.character(e))]   # an empty argument can't be looked at
  if (is_it(e)) return("read")
  if (!is.call(e)) return("")
  switch(if (is.name(e[[1L]])) as.character(e[[1L]]) else "",
    `<-` = , `=` = or(of(e[[3L]]), if (is.name(e[[2L]])) set(e[[2L]]) else of(e[[2L]])),
    `if` = {
      ways <- c(of(e[[3L]]), if (length(e) > 3L) of(e[[4L]]) else "")
      or(of(e[[2L]]), if (all(ways == "set")) "set" else perhaps(ways))
    },
    `for` = or(of(e[[3L]]), or(set(e[[2L]]), of(e[[4L]]))),
    `&&` = , `||` = or(of(e[[2L]]), perhaps(of(e[[3L]]))),
    switch = or(of(e[[2L]]), perhaps(vapply(given(e)[-(1:2)], of, ""))),
    `function` = if (variable %in% names(e[[2L]])) "" else perhaps(of(e[[3L]])),
    local = perhaps(vapply(given(e)[-1L], of, "")),
    `~` = , quote = "",
    Reduce(function(found, part) or(found, of(part)), given(e), "")
  )
}

is_top <- function(e) {
  identical(e, globalenv()) || identical(e, emptyenv()) || identical(e, baseenv()) || isNamespace(e) ||
    !is.null(attr(e, "name"))
}

where_is <- function(name, from) {
  e <- from
  while (!identical(e, emptyenv())) {
    if (exists(name, e, inherits = FALSE)) return(e)
    e <- parent.env(e)
  }
  NULL
}

# attach(data) puts an environment of its own on the search path
is_attached_data <- function(e) {
  name <- attr(e, "name")
  !is.null(name) && name %in% setdiff(search(), c("Autoloads", "CheckExEnv", "tools:rstudio", "tools:callr")) &&
    !startsWith(name, "package:")
}

is_of_session <- function(e) identical(e, globalenv()) || !is_top(e) || is_attached_data(e)

package_of <- function(e) {
  name <- if (isNamespace(e)) getNamespaceName(e) else attr(e, "name")
  if (is.null(name)) return(character())
  sub("^package:", "", name[isNamespace(e) || startsWith(name, "package:")])
}

# ---- what can't be sent ----

# of the largest object; a raw vector of more than 2 GB can't cross the bridge
max_mb <- function() min(getOption("simferry.max_mb", 500), 2000)

check_sendable <- function(x, label, max_mb) {
  seen <- new.env()
  mb <- function(x) as.numeric(utils::object.size(x)) / 1e6
  total <- mb(x)
  if (total <= max_mb && is.atomic(x) && !is.object(x)) return(invisible())
  walk <- function(x, label) {
    kind <- typeof(x)
    if (inherits(x, "connection"))
      refuse(label, "a connection, which lives in this session only", "Open it in the simulation.")
    if (inherits(x, "python.builtin.object"))
      refuse(label, "a Python object, which lives in this session only", "Import it in the simulation.")
    if (methods::is(x, "envRefClass")) {
      # a fitted model's own, as of lme4, which makes its pointers anew
      if (!identical(attr(class(x), "package"), ".GlobalEnv")) return()
      refuse(label, "a reference object, which one replication would change for the next",
             "Make it in the simulation: Class$new(...).")
    }
    if (kind %in% c("externalptr", "weakref"))
      refuse(label, "an external pointer, which lives in this session only", "Make the object in the simulation.")
    if (kind == "environment") {
      id <- format.default(x)
      if (is_top(x) || exists(id, seen, inherits = FALSE)) return()
      assign(id, TRUE, seen)
      for (name in ls(x, all.names = TRUE)) if (!bindingIsActive(name, x)) {
        total <<- total + mb(x[[name]])
        walk(x[[name]], paste0(label, "$", name))
      }
    }
    if (kind == "closure") walk(environment(x), label)
    if (kind == "list") for (i in seq_along(x)) {
      element <- names(x)[i]
      walk(.subset2(x, i),
           paste0(label,
                  if (is.null(element) || is.na(element) || !nzchar(element)) paste0("[[", i, "]]")
                  else paste0("$", element)))
    }
    kept <- attributes(x)
    for (name in setdiff(names(kept),
                         c("names", "class", "levels", "dim", "dimnames", "row.names", "tzone", "srcref",
                           ".Environment", ".internal.selfref")))
      walk(kept[[name]], paste0("attribute ", name, " of ", label))
  }
  walk(x, label)
  if (total > max_mb)
    raise("simulation",
          sprintf("%s is %s MB, more than the %s MB that are sent with a function", label, number(round(total)),
                  number(max_mb)),
          "Read it from a file in the simulation, or: options(simferry.max_mb = ...)")
}

refuse <- function(label, what, hint) raise("simulation", paste0(label, " is ", what), hint)

# ---- what decides what is computed ----

# Text of the function, its globals and constants. Not of their serialisation: a closure's changes when it is compiled.
fingerprint <- function(found, packages, constants) {
  seen <- list()
  of <- function(x) {
    if (isS4(x) && !is.null(code <- code_of_class(x))) return(code)
    if (is.function(x)) return(c("function", code_of(x), in_environment(environment(x))))
    if (is.list(x) && holds_functions(x))
      return(c("list", unlist(Map(function(n, v) c(n, of(v)), names(x) %||% seq_along(x), unclass(x)))))
    c("data", bridge("hash", bytes = serialize(x, NULL, xdr = TRUE, version = 2L)))
  }
  in_environment <- function(e) {
    if (is.null(e) || is_top(e)) return(package_or_global(e))
    for (i in seq_along(seen)) if (identical(seen[[i]], e)) return(c("again", i))
    seen[[length(seen) + 1L]] <<- e
    names <- Filter(function(n) n == "..." || !is_not_given(n, e), sort(ls(e, all.names = TRUE), method = "radix"))
    c("environment", unlist(lapply(names, function(n) c(n, if (n == "...") of_dots(e) else of(e[[n]])))),
      in_environment(parent.env(e)))
  }
  of_dots <- function(e) {
    dots <- elements_of_dots(e)
    unlist(Map(function(n, given) c(n, if ("value" %in% names(given)) of(given$value) else deparse(given$code)),
               names(dots), dots))
  }
  each <- function(values) {
    unlist(lapply(sort(as.character(names(values)), method = "radix"), function(n)
      c(n, if (startsWith(n, ".__T__")) code_of_methods(values[[n]]) else of(values[[n]]))))
  }
  paste(c(of(found[["function"]]), "globals", each(found$globals), "packages", packages, "constants", each(constants),
          if (length(found$options)) c("options", each(found$options)),
          if (length(found$by_name)) c("by name", each(found$by_name))), collapse = "\n")
}

package_or_global <- function(e) if (is.null(e)) "base" else environmentName(e)

code_of <- function(f) {
  if (is.primitive(f)) return(paste(deparse(f), collapse = "\n"))
  bare <- as.function(c(formals(f), list(body(f))), envir = globalenv())
  paste(deparse(bare, width.cutoff = 500L,
                control = c("keepNA", "keepInteger", "niceNames", "showAttributes", "hexNumeric")), collapse = "\n")
}

`%||%` <- function(x, y) if (is.null(x)) y else x
