/* Everything starts here, once all scripts are read. */
startTheme();
startCopying();
startTables();
startHeatMaps();
startDesk();
startCharts();
