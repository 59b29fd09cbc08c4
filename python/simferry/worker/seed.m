% Octave's site file for whole scripts: it seeds the generators with SIMFERRY_SEED_HEX, before the script's first line.
unsetenv('OCTAVE_SITE_INITFILE'); % programs that the script starts would draw the same numbers
if exist([OCTAVE_HOME(), '/share/octave/site/m/startup/octaverc'], 'file')
  source([OCTAVE_HOME(), '/share/octave/site/m/startup/octaverc']);
end
simferry_key = hex2dec(reshape(getenv('SIMFERRY_SEED_HEX'), 8, []).').';
rand('twister', [simferry_key, 6]);
simferry_old = floor(2^31 * rand(1, 5)); % of the generators that rand('seed', x) switches to; each has one
rand('seed', simferry_old(1));
randn('seed', simferry_old(2));
rande('seed', simferry_old(3));
randg('seed', simferry_old(4));
randp('seed', simferry_old(5));
rand('twister', [simferry_key, 1]);
randn('twister', [simferry_key, 2]);
rande('twister', [simferry_key, 3]);
randg('twister', [simferry_key, 4]);
randp('twister', [simferry_key, 5]);
clear simferry_key simferry_old
