#' Designs: the table of conditions
#'
#' A design is a data frame with a row per condition and a column per parameter. Any data frame can be given to
#' [sim_run()] instead; these make the usual ones.
#'
#' Parameters are numbers, integers, logicals and strings, and vectors of these: `beta = list(c(1, 2), c(3, 4, 5))`, or
#' a list column. The simulation gets `20L` as an integer and `20` as a double, and `NULL` as `NULL`. Factors, dates and
#' times are passed as strings, as they print. Functions, matrices and other objects go by names:
#' `method = list(mean = mean, median = median)`. Their names are the values in the design and in the results, and the
#' simulation gets the functions. What is the same in all conditions is passed as `constants` of [sim_run()].
#'
#' @param ... the parameters, by name. For `sim_grid()` and `sim_zip()` a vector of values each. For `sim_random()`,
#'   `sim_lhs()` and `sim_sobol()` a range or a choice each: two doubles, `c(0, 1)`, are a range of real numbers; two
#'   integers, `c(10L, 50L)`, a range of whole numbers, both ends included; a list, a character or a logical vector is a
#'   choice.
#' @param size `[numeric(1)]` number of conditions. For `sim_sobol()` use a power of 2, for which the sequence is
#'   balanced.
#' @param seed `[numeric(1)]` seed of the design (not of the run), from 0 to 2^53.
#' @param table a data frame, a named list of vectors of one length, or the path of a CSV or Parquet file.
#' @param types `[character]` or a named list: the types of parameters where they should differ from the type of the
#'   values, such as `c(n = "integer")`. One of `"number"`, `"integer"`, `"logical"`, `"string"`, or, of vectors,
#'   `"number list"` and so on: in a CSV file such a vector is `"[1, 2]"`.
#' @return A data frame of class `simferry_design`. `sim_grid()`: every combination, the last parameter varies fastest.
#'   `sim_zip()`: the first values together, then the second, and so on; a single value is used in every condition.
#'   `sim_table()`: the table itself. `sim_random()`: values drawn at random. `sim_lhs()`: on a Latin hypercube.
#'   `sim_sobol()`: on a scrambled Sobol' sequence.
#' @section Errors:
#' `simferry_error_design`: no rows, equal conditions, columns of different lengths, reserved names, vectors with names,
#' matrices.
#' @examplesIf simferry:::python_is_there()
#' sim_grid(n = c(10, 20, 50), effect = c(0, 0.5))
#' sim_zip(n = c(10, 20), method = c("a", "b"), alpha = 0.05)
#' sim_random(3, n = c(10L, 50L), effect = c(0, 1), method = c("a", "b"), seed = 7)
#' @export
sim_grid <- function(..., types = NULL) make_design("grid", list(...), types = types)

#' @rdname sim_grid
#' @export
sim_zip <- function(..., types = NULL) make_design("zipped", list(...), types = types)

#' @rdname sim_grid
#' @export
sim_table <- function(table, types = NULL) make_design("table", table, types = types)

#' @rdname sim_grid
#' @export
sim_random <- function(size, ..., seed = 1) make_design("random", list(...), size = size, seed = seed)

#' @rdname sim_grid
#' @export
sim_lhs <- function(size, ..., seed = 1) make_design("latin_hypercube", list(...), size = size, seed = seed)

#' @rdname sim_grid
#' @export
sim_sobol <- function(size, ..., seed = 1) make_design("sobol", list(...), size = size, seed = seed)

make_design <- function(kind, parameters, types = NULL, ...) {
  options <- list(types = if (length(types)) as.list(types), ...)
  objects <- by_name(parameters)
  design <- bridge("design", kind = kind, parameters = as_columns(parameters), options = options)
  for (parameter in names(objects)) design[[parameter]] <- objects[[parameter]][design[[parameter]]]
  design
}

# The objects that parameters stand for, by parameter and name: a parameter that is a list with names has these names in
# the design, and the simulation gets the values.
by_name <- function(design) {
  if (!is.list(design)) return(list())
  lapply(Filter(is_by_name, as.list(unclass(design))), function(values) {
    values <- unclass(values)
    first <- match(names(values), names(values))
    same <- all(vapply(seq_along(values), function(i) identical(values[[i]], values[[first[i]]]), NA))
    if (!same) raise("design", "a list with names has two different values of one name", "Give each a name of its own.")
    values[!duplicated(first)]
  })
}

is_by_name <- function(column) is.list(column) && !is.object(unclass(column)) && !is.data.frame(column) &&
  !inherits(column, "POSIXlt") && !is.null(names(column))

# A design on its way to Python: dates and times as they print, lists with names as these.
as_columns <- function(design) {
  if (is.list(design)) {
    for (parameter in names(design)[vapply(design, is_by_name, NA)]) {
      labels <- names(design[[parameter]])
      if (anyNA(labels) || !all(nzchar(labels)))
        raise("design", paste0("parameter ", parameter, " is a list in which only some values have names"),
              paste0(parameter, " = list(first = ..., second = ...)"))
      design[[parameter]] <- labels
    }
    for (parameter in names(design)) if (holds_objects(design[[parameter]]))
      raise("design",
            paste0("parameter ", parameter, " holds a ", kind_of_object(design[[parameter]]), " without a name"),
            paste0("The names stand in the design, and the simulation gets the values: ", parameter,
                   " = list(first = ..., second = ...)"))
  }
  if (is.list(design)) design[] <- lapply(design, function(x) if (inherits(x, c("Date", "POSIXt"))) format(x) else x)
  if (is.data.frame(design)) {
    attributes(design) <- attributes(design)[c("names", "class", "row.names")]
    row.names(design) <- NULL
  }
  design
}

is_object <- function(x) is.function(x) || is.language(x) || is.environment(x) || isS4(x)

# Functions, formulas, environments, objects of S4 and R6, alone or in a list.
holds_objects <- function(x) is_object(x) || is.list(x) && any(vapply(unclass(x), is_object, NA))

kind_of_object <- function(x) {
  one <- if (is_object(x)) x else Find(is_object, unclass(x))
  if (is.function(one)) "function" else paste0("value of class ", class(one)[1])
}

#' @export
format.simferry_design <- function(x, ...) {
  type_of <- function(v) switch(typeof(v), double = "number", integer = "integer", logical = "logical", "string")
  types <- vapply(x, function(v) {
    if (is_by_name(v)) "by name" else if (is.list(v)) paste(type_of(unlist(v)), "list") else type_of(v)
  }, "")
  paste0("a design of ", counted(nrow(x), "condition"),
         if (length(types)) paste0(": ", paste0(names(x), " (", types, ")", collapse = ", ")))
}

#' @export
print.simferry_design <- function(x, n = 10, ...) {
  cat(format(x), "\n", sep = "")
  shown <- utils::head(as.data.frame(x), n)
  shown[] <- lapply(shown, function(v) if (is_by_name(v)) names(v) else v)
  if (length(x)) print(shown)
  if (nrow(x) > n && length(x)) cat("... and ", counted(nrow(x) - n, "more condition"), "\n", sep = "")
  invisible(x)
}

#' @export
as.data.frame.simferry_design <- function(x, ...) {
  class(x) <- "data.frame"
  x
}
