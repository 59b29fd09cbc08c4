# Rscript tools/lint.R: lintr over the R files, by the rules in .lintr, codetools over those of the worker together, and
# the length of functions.

files <- system2("git", c("ls-files", "--cached", "--others", "--exclude-standard", shQuote("*.R")), stdout = TRUE)
files <- files[file.exists(files)]

# Reading all files takes half a minute. Those that were found clean, by these rules, are known by their content.
rules <- paste(c(tools::md5sum(".lintr"), as.character(packageVersion("lintr"))), collapse = " ")
content <- paste(rules, files, tools::md5sum(files))
known <- file.path(".venv", "lintr-clean")
clean <- if (file.exists(known)) content %in% readLines(known) else logical(length(files))
found <- parallel::mclapply(files[!clean], lintr::lint, mc.cores = parallel::detectCores(), mc.preschedule = FALSE)
for (i in which(vapply(found, inherits, NA, "try-error"))) stop(files[!clean][i], " can't be read: ", found[[i]])
for (lints in found) if (length(lints)) print(lints)
clean[!clean] <- lengths(found) == 0L
if (dir.exists(".venv")) writeLines(content[clean], known)

# The worker's parts are read into one environment. What they use must be defined there, or be R's.
worker <- new.env(parent = globalenv())
parts <- list.files("python/simferry/worker", "[.]R$", full.names = TRUE)
for (part in parts[!basename(parts) %in% c("worker.R", "profile.R")]) for (expression in parse(part)) {
  if (is.call(expression) && identical(expression[[1L]], quote(`<-`))) eval(expression, worker)
}
unknown <- character()
codetools::checkUsageEnv(worker, report = function(text) unknown <<- c(unknown, text), suppressLocalUnused = TRUE)
cat(unknown, sep = "")

# Functions of more than 60 lines, but for these.
too_long <- c(
  asked_for = "a walk through code: its parts share what was found",
  collect = "a walk through functions and their environments: its parts share what was found",
  keep_streams = "travels to socket workers as one function, whose parts share the state of a process's streams"
)
long <- character()
for (file in grep("^(python|r_package/R)/", files, value = TRUE)) {
  for (part in parse(file, keep.source = TRUE)) {
    is_function <- is.call(part) && identical(part[[1L]], quote(`<-`)) && is.call(part[[3L]]) &&
      identical(part[[3L]][[1L]], quote(`function`))
    if (!is_function) next
    lines <- length(as.character(part[[3L]][[4L]]))   # its source
    name <- as.character(part[[2L]])
    if (lines > 60L && !name %in% names(too_long))
      long <- c(long, paste0(file, ": ", name, " has ", lines, " lines; at most 60\n"))
  }
}
cat(long, sep = "")

quit(status = if (all(clean) && !length(unknown) && !length(long)) 0L else 1L)
