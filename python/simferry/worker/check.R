# Is the simulation fit to run?

check <- function(root) {
  job <- read_job(root)
  enter_code(job)
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
    asked <- asked_for(code, if (is_function(job)) job[["function"]] else "", function(file) {
      tryCatch(suppressWarnings(parse(file, keep.source = FALSE, encoding = "UTF-8")), error = function(e) NULL)
    })
    absent <- asked$needed[is_absent(asked$needed)]
    if (length(absent)) problem("packages", absent)
    facts[["possible"]] <- paste(asked$possible[is_absent(asked$possible)], collapse = "\n")
  }
  if (facts[["problem"]] == "" && is_function(job)) {
    loaded <- tryCatch(job <- guard_tasks(job$seed)$load(function() load_simulation(job)),
                       error = function(e) {
                         if (inherits(e, "packageNotFoundError")) problem("packages", e$package)
                         else problem("load", conditionMessage(e))
                         NULL
                       })
    compiler::enableJIT(0L)   # compiling what follows takes longer than running it
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
  if (length(job$on_hosts)) {
    needed <- c(if (!is.na(job$ranks)) "mpirun", "python3")
    facts[["lacking"]] <- paste(needed[!nzchar(Sys.which(needed))], collapse = ", ")
  }
  mentioned <- own_code_mentioned(job, c(as.list(code), code_of_objects(job$sent)))
  facts[["mentioned"]] <- paste(mentioned$packages, collapse = ", ")
  facts <- c(facts, facts_here(), foreach = if (length(find.package("foreach", quiet = TRUE))) "yes" else "no")
  write_block(file.path(root, "check"), facts,
              list(list(name = "arguments", columns = arguments),
                   list(name = "functions", columns = list(name = functions)),
    list(name = "own", columns = as.list(own_code(job, c(loadedNamespaces(), mentioned$packages), mentioned$files)))))
}
