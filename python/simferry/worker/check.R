# Is the simulation fit to run?

check <- function(root) {
  job <- read_job(root)
  facts <- c(problem = "", detail = "")
  arguments <- list(name = character(), has_default = logical())
  functions <- character()
  problem <- function(kind, detail) {
    facts[["problem"]] <<- kind
    facts[["detail"]] <<- paste(detail, collapse = "\n")
  }
  code <- NULL
  watch_source()
  if (nzchar(job$script))
    code <- tryCatch(parse(file.path(job$code, job$script), keep.source = FALSE, encoding = "UTF-8"),
                     error = function(e) {
                       problem("syntax", conditionMessage(e))
                       NULL
                     })
  if (facts[["problem"]] == "") {
    wanted <- called_packages(code)
    absent <- wanted[!vapply(wanted, function(p) length(find.package(p, quiet = TRUE)) > 0, NA)]
    if (length(absent)) problem("packages", absent)
  }
  if (facts[["problem"]] == "" && is_function(job)) {
    loaded <- tryCatch(job <- guard_tasks(job$seed)$load(function() load_simulation(job)),
                       error = function(e) {
                         problem("load", conditionMessage(e))
                         NULL
                       })
    if (!is.null(loaded)) {
      functions <- Filter(function(n) is.function(get(n, globalenv())), ls(globalenv()))
      if (exists(job[["function"]], globalenv(), mode = "function", inherits = FALSE)) {
        taken <- formals(args(get(job[["function"]], globalenv(), mode = "function")))
        has_default <- vapply(taken, function(d) !identical(d, quote(expr = )), NA, USE.NAMES = FALSE)
        arguments <- list(name = names(taken), has_default = has_default | names(taken) == "...")
        if (!length(taken)) arguments <- list(name = character(), has_default = logical())
      } else problem("function", job[["function"]])
    }
  }
  facts[["open"]] <- if (is_function(job)) paste(held_open(job$code), collapse = ", ") else ""
  mentioned <- own_code_mentioned(job, c(as.list(code), code_of_objects(job$sent)))
  facts[["mentioned"]] <- paste(mentioned$packages, collapse = ", ")
  facts <- c(facts, facts_here(), foreach = if (length(find.package("foreach", quiet = TRUE))) "yes" else "no")
  write_block(file.path(root, "check"), facts,
              list(list(name = "arguments", columns = arguments),
                   list(name = "functions", columns = list(name = functions)),
    list(name = "own", columns = as.list(own_code(job, c(loadedNamespaces(), mentioned$packages), mentioned$files)))))
}

called_packages <- function(code) {
  found <- character()
  walk <- function(x) {
    if (is.call(x)) {
      f <- if (is.name(x[[1]])) as.character(x[[1]]) else ""
      if (f %in% c("library", "require") && length(x) > 1 && (is.name(x[[2]]) || is.character(x[[2]])) &&
          is.null(x$character.only))
        found <<- c(found, as.character(x[[2]]))
      if (f %in% c("::", ":::")) found <<- c(found, as.character(x[[2]]))
      # a package that is asked for politely may be missing
      if (f %in% c("quote", "try", "tryCatch", "suppressWarnings")) return()
      if (f == "if") x <- x[-2L]
    }
    if (is.call(x) || is.expression(x) || is.pairlist(x)) for (part in as.list(x)) if (!missing(part)) walk(part)
  }
  walk(code)
  unique(found)
}
