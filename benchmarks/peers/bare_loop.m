% octave-cli bare_loop.m FOLDER REPLICATIONS: its one_output(), called in a loop; prints microseconds of processor time of each call.
given = argv();
addpath(given{1});
replications = str2double(given{2});
results = zeros(replications, 1);
one_output();
begin = cputime();
for i = 1:replications
  results(i) = one_output();
end
printf('%g\n', (cputime() - begin) / replications * 1e6);
