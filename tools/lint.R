# Rscript tools/lint.R: lintr over the R files, by the rules in .lintr, and codetools over those of the worker together.

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

quit(status = if (all(clean) && !length(unknown)) 0L else 1L)
